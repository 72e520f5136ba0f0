// Runs the official conformance suite against a server and compares with tests/conformance.yaml.
//   node conformance.mjs FOLDER_WITH_NODE_MODULES TARGET URL
// TARGET is a key of `targets` there. The suite can send no token, so the server must need none.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const [modules, target, url] = process.argv.slice(2);
const { parse } = createRequire(resolve(modules, 'x.js'))('yaml');
const package_ = resolve(modules, 'node_modules/@modelcontextprotocol/conformance');
const suite = join(package_, 'dist/index.js');
const agreed = parse(readFileSync(join(dirname(fileURLToPath(import.meta.url)), '../conformance.yaml'), 'utf8'));
const sets = Object.keys(agreed.targets[target]);
const scratch = mkdtempSync(join(tmpdir(), 'conformance-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

// This scenario gives an answer half a second, which a busy machine may not keep: it gets more attempts.
const HURRIED = 'server-stateless';
const ATTEMPTS = 4;
const PATIENCE = 120_000;

function run(...args) {
  return new Promise((done) => {
    let output = '';
    const child = spawn(process.execPath, [suite, ...args], { timeout: PATIENCE });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    child.on('close', () => done(output));
  });
}

/** Every server scenario the suite has. */
async function known() {
  return [...(await run('list', '--server')).matchAll(/^ +- (\S+)/gm)].map((match) => match[1]);
}

/** The server scenarios of a requirement set, scored or not. */
function required(set) {
  const { server, not_scored } = parse(readFileSync(join(package_, 'requirements', `${set}.yaml`), 'utf8'));
  return [...server, ...not_scored.filter(({ leg }) => leg === 'server').map(({ scenario }) => scenario)];
}

/** The checks of each scenario whose results lie in `folder`. */
function results(folder) {
  const found = new Map();
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const scenario = name.replace(/^server-/, '').replace(/-\d{4}-\d{2}-\d{2}T[\d-]+Z$/, '');
    found.set(scenario, JSON.parse(readFileSync(join(folder, name, 'checks.json'), 'utf8')));
  }
  return found;
}

/** What is wrong with a scenario: problem by check; that nothing was checked is a problem too. */
function problems(checks) {
  const wrong = new Map();
  if (!checks) return wrong.set('not-run', 'the scenario gave no result');
  for (const { id, status, errorMessage } of checks) {
    if (status === 'FAILURE' || status === 'WARNING') wrong.set(id, `${status}: ${errorMessage ?? ''}`);
  }
  const shown = checks.some(({ id, status }) => status === 'SUCCESS' && id !== 'wire-schema-valid');
  if (!shown && wrong.size === 0) wrong.set('nothing-checked', 'no check of the scenario could be made');
  return wrong;
}

/** Entries for a set: scenario to the names of its checks, or to null for the whole scenario. */
function leftOut(entries) {
  const all = new Map();
  for (const { why, scenarios } of entries) {
    if (!why) throw new Error(`no reason is given for ${scenarios}`);
    for (const entry of scenarios) {
      const [scenario, check] = entry.split(':');
      all.set(scenario, check ? [...(all.get(scenario) ?? []), check] : null);
    }
  }
  return all;
}

async function judge(set) {
  const scenarios = required(set);
  const expected = leftOut(agreed.targets[target][set] ?? []);
  const complaints = [...expected.keys()]
    .filter((name) => !scenarios.includes(name))
    .map((name) => `${name} is listed and not in the set`);
  const folder = join(scratch, set);
  const output = await run('server', '--url', url, '--requirements', set, '--output-dir', folder);
  const found = results(folder);
  const wrong = new Map(scenarios.map((name) => [name, problems(found.get(name))]));
  const whole = (name) => expected.get(name) === null;
  const checks = (name) => expected.get(name) ?? [];
  const unexpected = (name) =>
    whole(name) ? [] : [...wrong.get(name).keys()].filter((check) => !checks(name).includes(check));
  for (let attempt = 2; attempt <= ATTEMPTS && wrong.has(HURRIED) && unexpected(HURRIED).length > 0; attempt++) {
    const again = join(scratch, `${set}-${attempt}`);
    await run('server', '--url', url, '--scenario', HURRIED, '--spec-version', set, '--output-dir', again);
    wrong.set(HURRIED, problems(results(again).get(HURRIED)));
  }
  for (const name of scenarios) {
    for (const check of unexpected(name)) complaints.push(`${name}:${check} ${wrong.get(name).get(check)}`);
    const mended = checks(name).filter((check) => !wrong.get(name).has(check)).map((check) => `${name}:${check}`);
    if (whole(name) && wrong.get(name).size === 0) mended.push(name);
    complaints.push(...mended.map((entry) => `${entry} passes: take it out of the list`));
  }
  const out = scenarios.filter(whole).length;
  const parts = scenarios.filter((name) => checks(name).length > 0).length;
  if (found.size === 0) complaints.push(`the suite did not run: ${output}`);
  console.log(`${target} ${set}: ${scenarios.length} scenarios, ${out} left out, ${parts} in part; not as listed: ${complaints.length}`);
  for (const complaint of complaints) console.log(`  ${complaint}`);
  return { scenarios, complaints };
}

const judged = await Promise.all(sets.map(judge));
const offered = new Set(judged.flatMap(({ scenarios }) => scenarios));
const others = leftOut(agreed.in_no_set);
const all = await known();
const stray = [
  ...all.filter((name) => !offered.has(name) && !others.has(name)).map((name) => `${name} is neither run nor listed`),
  ...[...others.keys()]
    .filter((name) => offered.has(name) || !all.includes(name))
    .map((name) => `${name} is listed under in_no_set, and is run or unknown`),
];
for (const complaint of stray) console.log(`  ${complaint}`);
process.exit(stray.length + judged.flatMap(({ complaints }) => complaints).length > 0 ? 1 : 0);
