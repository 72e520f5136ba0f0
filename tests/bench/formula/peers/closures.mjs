// The formulas as hand-written closures over row objects; blanks are null.
// closures.mjs ROWS_FILE FORMULA
import moment from 'moment';
import { measure } from './harness.mjs';

const CODE = /^[A-Z]{3}-\d{4}/;

const closures = {
  arithmetic: (row) => ((row.A ?? 0) * (row.B ?? 0) + (row.C ?? 0)) / 2,
  comparison: (row) => (row.A ?? 0) > (row.B ?? 0),
  nested_if: (row) => {
    const a = row.A ?? 0;
    return a > 800 ? 'top' : a > 600 ? 'high' : a > 400 ? 'middle' : a > 200 ? 'low' : a > 0 ? 'least' : 'none';
  },
  text: (row) => {
    if (row.Name === null) return '';
    const at = row.Name.indexOf(' ');
    return at > 0 ? row.Name.slice(0, at) : '';
  },
  switch: (row) => {
    switch (row.Status) {
      case 'New': return '1 new';
      case 'Open': return '2 open';
      case 'Waiting': return '3 waiting';
      case 'Review': return '4 review';
      case 'Done': return '5 done';
      default: return 'other';
    }
  },
  date_format: (row) => (row.Start === null ? null : moment.utc(row.Start).add(10, 'days').format('YYYY-MM-DD HH:mm')),
  date_diff: (row) => (row.Start === null || row.End === null ? null : moment.utc(row.End).diff(moment.utc(row.Start), 'days')),
  regex: (row) => row.Code !== null && CODE.test(row.Code),
};

const over = (closure) => (rows) => ({
  pass: () => {
    const results = new Array(rows.length);
    for (let n = 0; n < rows.length; n += 1) results[n] = closure(rows[n]);
    return results;
  },
});

// Dates become Date objects while loading, so that no pass parses text.
const load = (row) => ({ ...row, Start: new Date(row.Start), End: new Date(row.End) });

measure('JavaScript', load, Object.fromEntries(Object.entries(closures).map(([key, closure]) => [key, over(closure)])));
