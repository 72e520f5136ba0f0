// Times one formula over all rows, for the peers written in JavaScript.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const FEWER = 20_000;
const PASSES = 5;
const LONGEST = 10_000; // milliseconds a pass may take before fewer rows are used
const WARM = 500; // milliseconds of passes before the ones that count

// One spelling per result in every language, so that the digests of peers compare.
function textOf(value) {
  if (value === null || value === undefined) return '';
  return typeof value === 'number' ? value.toFixed(6) : String(value);
}

function timed({ prepare, pass }) {
  prepare?.();
  const started = performance.now();
  const results = pass();
  return [performance.now() - started, results];
}

function warm(work) {
  const until = performance.now() + WARM;
  for (;;) {
    const done = timed(work);
    if (performance.now() > until) return done;
  }
}

// ROWS_FILE FORMULA on the command line; makers[FORMULA](rows) gives { prepare, pass, note }.
// pass returns every result in an array; prepare runs before each pass, outside the timing.
export function measure(peer, load, makers) {
  const [path, formula] = process.argv.slice(2);
  let rows = JSON.parse(readFileSync(path, 'utf8')).map(load);
  const first = makers[formula](rows.slice(0, FEWER));
  const [taken, results] = warm(first);
  const texts = results.map(textOf);
  if ((taken * rows.length) / texts.length > LONGEST) rows = rows.slice(0, FEWER);
  const whole = makers[formula](rows);
  warm(whole);
  const rates = [];
  for (let n = 0; n < PASSES; n += 1) {
    const [milliseconds, all] = timed(whole);
    if (all.length !== rows.length) throw new Error(`${all.length} results`);
    rates.push((rows.length / milliseconds) * 1000);
  }
  rates.sort((a, b) => a - b);
  console.log(JSON.stringify({
    peer, formula, rowsPerSecond: Math.round(rates[(PASSES - 1) / 2]), rows: rows.length, first: texts.slice(0, 3),
    digest: createHash('sha256').update(texts.join('\n')).digest('hex').slice(0, 12), note: whole.note,
  }));
}
