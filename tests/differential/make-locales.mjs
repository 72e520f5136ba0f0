// Writes src/formula/moment/locales.json: what Moment 2.31.0 knows about each locale, as data.
//
//   npm install moment@2.31.0        (in any folder)
//   node tests/differential/make-locales.mjs <that folder>/node_modules/moment <output file>
//
// Source: Moment.js 2.31.0, https://momentjs.com, MIT licence,
// Copyright (c) JS Foundation and other contributors. The facts are found by asking Moment's
// public functions; only the patterns by which it recognises names in a text are read off the
// locale object, because there is no other way to learn them. Texts that depend on a number are
// asked for every number and fitted to `each` (a cycle) plus exact exceptions (`only`); a text
// that does not fit stops the script.
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const [folder, output] = process.argv.slice(2);
if (!folder || !output) throw new Error('usage: locales.mjs <moment folder> <output file>');
const require = createRequire(import.meta.url);
const moment = require(path.resolve(folder));
if (moment.version !== '2.31.0') throw new Error(`moment ${moment.version}, want 2.31.0`);

const codes = `en af ar ar-ma ar-sa ar-tn az be bg bn bo br bs ca cs cv cy da de de-at el en-au en-ca
  en-gb en-ie en-nz eo es et eu fa fi fo fr fr-ca fr-ch fy gl he hi hr hu hy-am id is it ja jv ka km
  ko lb lt lv me mk ml mr ms my nb ne nl nn pl pt pt-br ro ru si sk sl sq sr sr-cyrl sv ta th tl-ph
  tr tzl tzm tzm-latn uk uz vi zh-cn zh-tw`.split(/\s+/);

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// ---- names that depend on the format they stand in -------------------------------------------

// The rules by which locales choose between cases. `before` limits the test to the part of the
// format in front of that token.
const IN_FORMAT = { when: 'D[oD]?(\\[[^\\[\\]]*\\]|\\s)+MMMM?' };
const RULES = [
  [IN_FORMAT],
  [{ when: 'D[oD]?(\\s)+MMMM' }],
  [{ when: 'DD?[o.]?(\\[[^\\[\\]]*\\]|\\s)+MMMM' }],
  [{ when: 'D[oD]?(\\[[^\\[\\]]*\\]|\\s)+MMMM?|MMMM?(\\[[^\\[\\]]*\\]|\\s)+D[oD]?' }],
  [{ when: 'D MMMM' }],
  [{ when: 'D\\.? MMMM' }],
  [{ when: '-MMM-' }],
  [{ when: 'D', before: 'MMMM' }],
  [{ when: '\\[ ?[Ууў] ?(?:мінулую|наступную)? ?\\] ?dddd' }],
  [{ when: '\\[ ?[Вв] ?(?:прошлую|следующую|эту)? ?] ?dddd' }],
  [{ when: '(წინა|შემდეგ)' }],
  [{ when: 'dddd HH:mm' }],
  [{ when: '(\\[[ВвУу]\\]) ?dddd' }, { when: '\\[?(?:минулої|наступної)? ?\\] ?dddd' }],
];
const holds = (rule, format) => {
  const end = rule.before ? format.indexOf(rule.before) : format.length;
  return new RegExp(rule.when).test(end < 0 ? '' : format.slice(0, end));
};
const FORMATS = `|MMM|MMMM|D MMM|D MMMM|DD MMMM|Do MMMM|D  MMMM YYYY|D[ de ]MMMM|D [de] MMMM|D. MMMM
  |DD. MMMM|D.MMMM|D, MMMM|D[x]MMM|D [x] MMM|D-MMM-YYYY|DD-MMM-YY|-MMM-|-MMMM-|MMMM D|MMM D|MMMM Do
  |MMM[x]DD|MMMM [x] D|MMMM YYYY|MMMM-D|D/MMMM|dddd, D MMMM|dddd D MMM|DDD MMMM|YYYY MMMM, D MMMM
  |MMM D MMMM|dddd|ddd|dd|dddd HH:mm|dddd HH|dddd  HH:mm|[У] dddd|[У]dddd|[в] dddd|[В]dddd|[ В ] dddd
  |[у] dddd|[ў] dddd|[У мінулую] dddd|[ў наступную] dddd|[В прошлую] dddd|[в следующую] dddd|[x] dddd
  |[Во эту] dddd|[В эту] dddd|[минулої] dddd|[наступної]dddd|[Минулої] dddd|[у минулої] dddd
  |[წინა] dddd|[შემდეგ] dddd LT|წინა dddd|YYYY dddd|D dddd HH:mm`.split(/\s*\n?\s*\|/).map((f) => f);

function names(code, label, count, ask) {
  const rows = FORMATS.map((f) => range(0, count - 1).map((i) => String(ask(i, f))));
  const base = rows[0];
  if (rows.every((row) => same(row, base))) return base;
  for (const rules of RULES) {
    const lists = [];
    const fits = FORMATS.every((format, at) => {
      const hit = rules.findIndex((rule) => holds(rule, format));
      if (hit < 0) return same(rows[at], base);
      lists[hit] ??= rows[at];
      return same(lists[hit], rows[at]);
    });
    if (fits && lists.filter(Boolean).length === rules.length) {
      return { base, cases: rules.map((rule, i) => ({ ...rule, names: lists[i] })) };
    }
  }
  throw new Error(`${code}: no rule for ${label}`);
}

// ---- texts that depend on a number -----------------------------------------------------------

const spans = (numbers) => {
  const out = [];
  for (const n of numbers) {
    const last = out.at(-1);
    if (last && last[1] + 1 === n) last[1] = n;
    else out.push([n, n]);
  }
  return out;
};
const grouped = (pairs) => {
  const by = new Map();
  for (const [n, text] of pairs) by.set(text, [...(by.get(text) ?? []), n]);
  return [...by].map(([text, ns]) => ({ text, of: spans(ns) }));
};
const template = (text, n) => {
  const s = String(text);
  if (s.includes('%d')) throw new Error(`%d in ${s}`);
  return s.replace(new RegExp(`(?<!\\d)${n}(?!\\d)`), '%d');
};
function counted(label, from, to, ask, far = []) {
  const table = range(from, to).map((n) => [n, template(ask(n), n)]);
  let best;
  for (const cycle of [1, 10, 100]) {
    if (cycle > 1 && to - from < 2 * cycle) continue;
    const forms = new Array(cycle);
    for (const [n, text] of table) forms[n % cycle] = text;
    const only = table.filter(([n, text]) => forms[n % cycle] !== text);
    if (to > 200 && only.some(([n]) => n > 200)) continue;
    const each = grouped([...forms.entries()].sort((a, b) => a[0] - b[0]));
    const exact = grouped(only);
    const cost = JSON.stringify([each, exact]).length;
    if (!best || cost < best.cost) best = { cost, cycle, each, exact, forms, only };
  }
  if (!best) throw new Error(`${label}: no cycle fits`);
  for (const n of far) {
    if (best.forms[n % best.cycle] !== template(ask(n), n)) throw new Error(`${label}: ${n} differs`);
  }
  if (best.cycle === 1 && best.exact.length === 0) return best.forms[0];
  const rule = best.cycle === 1 ? { text: best.forms[0] } : { cycle: best.cycle, each: best.each };
  if (best.exact.length) rule.only = best.exact;
  return rule;
}

function ordinals(code, data) {
  const far = [1000, 1001, 1011, 1900, 2019, 2024, 5432, 9999, 10000];
  const of = (period) => counted(`${code} ordinal ${period}`, 0, 999, (n) => data.ordinal(n, period), far);
  const rules = Object.fromEntries(['M', 'Q', 'D', 'DDD', 'd', 'w', 'W', 'y'].map((p) => [p, of(p)]));
  const usual = Object.values(rules)
    .map((r) => [r, Object.values(rules).filter((o) => same(o, r)).length])
    .sort((a, b) => b[1] - a[1])[0][0];
  const other = Object.entries(rules).filter(([, r]) => !same(r, usual));
  return other.length ? { usual, by: Object.fromEntries(other) } : { usual };
}

// Without the suffix ("in", "ago") the text can still differ between past and future.
function relative(code, data) {
  const top = { s: 44, mm: 44, hh: 21, dd: 25, MM: 10, yy: 999 };
  const out = {};
  for (const key of ['s', 'm', 'mm', 'h', 'hh', 'd', 'dd', 'M', 'MM', 'y', 'yy']) {
    const of = (future) => {
      // Some locales write the number in their own digits; those are put back when it is shown.
      const ask = (n) => data.preparse(String(data.relativeTime(n, true, key, future)));
      if (!(key in top)) return String(ask(1));
      return counted(`${code} ${key}`, 1, top[key], ask, key === 'yy' ? [1001, 1015, 4321, 9999, 12000] : []);
    };
    const [past, future] = [of(false), of(true)];
    out[key] = same(past, future) ? past : { past, future };
  }
  return out;
}

// ---- times of day ----------------------------------------------------------------------------

function meridiem(data, lower) {
  const out = [];
  for (const at of range(0, 1439)) {
    const text = String(data.meridiem(Math.floor(at / 60), at % 60, lower));
    if (out.at(-1)?.[1] !== text) out.push([at, text]);
  }
  return out;
}

// Every text a (simple) meridiem pattern can match.
function words(source) {
  return source.split('|').flatMap((piece) => {
    let out = [''];
    const atoms = piece.match(/\[[^\]]*\]\??|\\?.\??/gu) ?? [];
    for (const atom of atoms) {
      const optional = atom.length > 1 && atom.endsWith('?');
      const body = optional ? atom.slice(0, -1) : atom;
      const choices = body.startsWith('[') ? [...body.slice(1, -1)] : [body.replace(/^\\/, '')];
      if (optional) choices.push('');
      out = out.flatMap((head) => choices.map((c) => head + c));
    }
    return out.filter(Boolean);
  });
}
const mixed = (w) => [...w].map((c, i) => (i % 2 ? c.toLowerCase() : c.toUpperCase())).join('');

function readMeridiem(code, data) {
  const pattern = data._meridiemParse;
  const out = { pattern: pattern.source };
  if (pattern.flags.includes('i')) out.fold = true;
  const all = [...new Set(words(pattern.source))];
  for (const w of all) {
    if (w.match(pattern)?.[0] !== w && !code.match(/^(si|br)$/)) throw new Error(`${code}: ${w} is no meridiem`);
  }
  if (data.meridiemHour) {
    out.hours = all.map((word) => {
      const add = [];
      for (const hour of range(0, 99)) {
        const to = data.meridiemHour(hour, word);
        const by = to === undefined ? null : to - hour;
        if (!add.length || add.at(-1)[1] !== by) add.push([hour, by]);
      }
      const none = data.meridiemHour(undefined, word);
      const entry = { word, add };
      if (Number.isNaN(none)) entry.alone = false;
      return entry;
    });
    return out;
  }
  const variants = (w) => [w.toLowerCase(), w.toUpperCase(), mixed(w)];
  const fold = pattern.flags.includes('i') && all.every((w) => variants(w).every((v) => data.isPM(v) === data.isPM(w)));
  const list = fold ? [...new Set(all.map((w) => w.toLowerCase()))] : [...new Set(all.flatMap((w) => [w, ...variants(w)]))];
  out.pm = list.filter((w) => w.match(pattern) && data.isPM(w));
  if (fold) out.foldPm = true;
  return out;
}

// ---- letters exchanged before reading and after writing --------------------------------------

function exchange(change, points) {
  const out = {};
  for (const point of points) {
    const c = String.fromCharCode(point);
    const to = change(c);
    if (to !== c) out[c] = to;
  }
  const sample = Object.keys(out).join('') + 'a1,2 b' + Object.keys(out).reverse().join('x');
  const mine = [...sample].map((c) => out[c] ?? c).join('');
  if (mine !== change(sample)) throw new Error('letters are not exchanged one by one');
  return out;
}

// ---- reading names ---------------------------------------------------------------------------

const english = moment.localeData('en');
const WORD = english.monthsRegex(false).source;
const source = (regex, code) => {
  if (!['i', ''].includes(regex.flags)) throw new Error(`${code}: flags ${regex.flags}`);
  return regex.source;
};
function readNames(code, exact, find, lists) {
  const out = {};
  const sources = [...new Set(find.map((f) => source(f(false), code)))];
  if (sources.length !== 1) throw new Error(`${code}: patterns differ by token`);
  if (sources[0] !== WORD) out.find = sources[0];
  if (exact) out.exact = true;
  if (lists) out.each = lists.map((r) => source(r, code));
  return out;
}

function eras(data) {
  const list = data.eras().map(({ since, until, offset, name, narrow, abbr }) => ({
    since,
    until: Math.abs(until) === Infinity ? null : until,
    back: until < since,
    offset,
    name,
    narrow,
    abbr,
  }));
  const out = { list, find: data.erasNameRegex(false).source };
  if (data._eraYearOrdinalRegex) {
    out.year = data._eraYearOrdinalRegex.source;
    out.first = '元';
    if (data.eraYearOrdinalParse('元年', '元年'.match(data._eraYearOrdinalRegex)) !== 1) throw new Error('first year');
  }
  return out;
}

// ---- one locale ------------------------------------------------------------------------------

function describe(code) {
  if (code !== 'en') require(path.resolve(folder, 'locale', `${code}.js`));
  moment.locale('en');
  const data = moment.localeData(code);
  const fixed = { month: data._monthsParse, day: data._weekdaysParse };
  const month = (i) => moment.utc([2000, i, 1]);
  const day = (i) => moment.utc([2000, 0, 2 + i]);
  const upper = meridiem(data, false);
  const lower = meridiem(data, true);
  const out = {
    months: names(code, 'months', 12, (i, f) => data.months(month(i), f)),
    monthsShort: names(code, 'monthsShort', 12, (i, f) => data.monthsShort(month(i), f)),
    weekdays: names(code, 'weekdays', 7, (i, f) => data.weekdays(day(i), f)),
    weekdaysShort: names(code, 'weekdaysShort', 7, (i, f) => data.weekdaysShort(day(i), f)),
    weekdaysMin: names(code, 'weekdaysMin', 7, (i, f) => data.weekdaysMin(day(i), f)),
    dates: Object.fromEntries(
      ['LT', 'LTS', 'L', 'LL', 'LLL', 'LLLL', 'l', 'll', 'lll', 'llll'].map((k) => [k, data.longDateFormat(k)]),
    ),
    week: [data.firstDayOfWeek(), data.firstDayOfYear()],
    meridiem: same(upper, lower) ? { upper } : { upper, lower },
    readMeridiem: readMeridiem(code, data),
    ordinal: ordinals(code, data),
    readOrdinal: data._dayOfMonthOrdinalParse.source,
    relative: relative(code, data),
    readMonths: readNames(
      code, data._monthsParseExact, [(s) => data.monthsRegex(s), (s) => data.monthsShortRegex(s)], fixed.month),
    readWeekdays: readNames(
      code, data._weekdaysParseExact,
      [(s) => data.weekdaysRegex(s), (s) => data.weekdaysShortRegex(s), (s) => data.weekdaysMinRegex(s)], fixed.day),
  };
  const write = exchange((s) => data.postformat(s), range(0x20, 0x7e));
  const read = exchange((s) => data.preparse(s), range(0x20, 0xffff).filter((p) => p < 0xd800 || p > 0xdfff));
  if (Object.keys(write).length) out.write = write;
  if (Object.keys(read).length) out.read = read;
  const era = eras(data);
  if (code === 'en' || !same(era, eras(english))) out.eras = era;
  return out;
}

process.env.TZ = 'UTC';
const lines = codes.map((code) => `${JSON.stringify(code)}:${JSON.stringify(describe(code))}`);
writeFileSync(output, `{\n${lines.join(',\n')}\n}\n`);
console.log(`${codes.length} locales`);
