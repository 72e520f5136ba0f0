// Compares date formulas with Moment itself on random dates, zones, locales and formats.
//   TZ=UTC node dates.mjs PROGRAM FOLDER_WITH_NODE_MODULES [cases of each kind] [seed]
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const [program, modules, count = '2000', seedText = '1'] = process.argv.slice(2);
const require = createRequire(resolve(modules, 'x.js'));
const moment = require('moment-timezone');
moment.suppressDeprecationWarnings = true;
const data = join(dirname(fileURLToPath(import.meta.url)), '../../src/formula/moment');
const zones = readFileSync(join(data, 'zones.txt'), 'utf8').trim().split('\n');
const locales = Object.keys(JSON.parse(readFileSync(join(data, 'locales.json'), 'utf8')));
for (const code of locales) if (code !== 'en') require(`moment/locale/${code}.js`);
moment.locale('en');

let seed = Number(seedText);
const random = () => {
  // A small generator with a seed, so that a failure can be seen again.
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const int = (low, high) => low + Math.floor(random() * (high - low + 1));
const pick = (list) => list[int(0, list.length - 1)];
const quoted = (text) => `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;

const tokens = (
  'M Mo MM MMM MMMM Q Qo D Do DD DDD DDDo DDDD d do dd ddd dddd e E w wo ww W Wo WW YY YYYY gg gggg GG GGGG ' +
  'A a H HH h hh k kk m mm s ss S SS SSS z zz Z ZZ X x LT LTS L LL LLL LLLL l ll lll llll'
).split(' ');
const between = [' ', ' ', '-', '/', ':', ', ', '.', '', '[x]', '[de] ', ' [[', ']', '年', 'T', '\\', 'q'];
const format = () => {
  if (random() < 0.2) return pick(['D MMMM YYYY', 'LLLL', 'dddd D MMMM', 'MMMM YYYY', 'Do [de] MMMM', 'dddd HH:mm', '[В] dddd']);
  let text = '';
  for (let left = int(1, 5); left > 0; left--) text += pick(tokens) + pick(between);
  return text;
};
// Moment's zone data ends in 2037.
const instant = () => int(Date.UTC(1900, 0, 1), Date.UTC(2036, 11, 31));
const edge = () => Date.UTC(int(1990, 2035), int(0, 11), pick([1, 28, 29, 30, 31]), pick([0, 12, 23]), pick([0, 59]), 0, 0);
const field = (ms) => ({ type: 'dateTime', value: new Date(ms).toISOString() });
const units = ['milliseconds', 'seconds', 'minutes', 'hours', 'days', 'weeks', 'months', 'quarters', 'years'];

const MOVED = new Set(['Apia', 'Enderbury', 'Fakaofo', 'Kiritimati', 'Kwajalein'].map((name) => `Pacific/${name}`));
const cases = [];
const add = (kind, formula, fields, wanted, now = null) => cases.push({ kind, formula, fields, now, wanted });
for (let n = 0; n < Number(count); n++) {
  const zone = zones[n % zones.length];
  const locale = random() < 0.3 ? 'en' : locales[n % locales.length];
  const ms = random() < 0.3 ? edge() : instant();
  const pattern = format();
  // Where a zone moved across the date line, Moment counts a day of that year too few or too many.
  if (!MOVED.has(zone)) {
    add('format', `DATETIME_FORMAT(SET_LOCALE(SET_TIMEZONE({D}, "${zone}"), "${locale}"), ${quoted(pattern)})`,
      { D: field(ms) }, moment.tz(ms, zone).locale(locale).format(pattern));
  }
  const unit = pick(units);
  const amount = int(-5000, 5000);
  add('add', `DATEADD({D}, ${amount}, "${unit}")`, { D: field(ms) }, moment.utc(ms).add(amount, unit).toISOString());
  const other = random() < 0.5 ? edge() : instant();
  add('diff', `DATETIME_DIFF({A}, {B}, "${unit}")`, { A: field(ms), B: field(other) }, moment.utc(ms).diff(moment.utc(other), unit) + 0);
  const readable = pick(['YYYY-MM-DD', 'D MMMM YYYY', 'DD/MM/YY', 'MMM D, YYYY HH:mm', 'LL', 'L LT', 'GGGG-[W]WW-E', 'YYYYMMDDHHmmss', 'Do MMMM YYYY', 'X', 'dddd, LL']);
  const text = moment.utc(ms).locale(locale).format(readable);
  const read = moment.utc(text, readable, locale);
  // Some locales do not know their own months again and make them January, on another weekday.
  const misread = readable.startsWith('dddd') && read.isValid() && read.day() !== moment.utc(ms).day();
  if (text !== '' && !misread) {
    add('parse', `DATETIME_PARSE(${quoted(text)}, ${quoted(readable)}, "${locale}")`, {}, read.isValid() ? read.toISOString() : null, '2026-08-20T10:00:00Z');
  }
  const now = ms + Math.floor((random() - 0.5) * 10 ** int(3, 12));
  add('relative', `FROMNOW(SET_LOCALE({D}, "${locale}"))`, { D: field(ms) },
    moment.utc(ms).locale(locale).from(moment.utc(now), true), new Date(now).toISOString());
}

const input = cases.map((one, id) => JSON.stringify({ id, formula: one.formula, fields: one.fields, now: one.now })).join('\n');
const run = spawnSync(program, ['formula', 'batch'], { input, maxBuffer: 2 ** 30 });
const answers = run.stdout.toString().trim().split('\n').map((line) => JSON.parse(line));
const seen = {};
let differ = 0;
for (const answer of answers) {
  const { kind, formula, fields, wanted } = cases[answer.id];
  seen[kind] = (seen[kind] ?? 0) + 1;
  const got = 'value' in answer ? answer.value : null;
  // A text of nothing comes out as nothing.
  if (got === wanted || (got ?? '') === (wanted ?? '')) continue;
  differ += 1;
  if (differ <= 20) console.log(`${kind}: ${formula} ${JSON.stringify(fields)}: ${JSON.stringify(answer)}, Moment ${JSON.stringify(wanted)}`);
}
console.log(`${answers.length} of ${cases.length} compared (${JSON.stringify(seen)}), ${differ} differ`);
process.exit(differ > 0 || answers.length !== cases.length ? 1 : 0);
