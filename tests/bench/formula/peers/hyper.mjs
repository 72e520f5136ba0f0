// The formulas in HyperFormula: a sheet with one column per field and one column of formulas.
// hyper.mjs ROWS_FILE FORMULA
//
// Timed is the recalculation of all formula cells alone. Before each pass, with evaluation
// suspended and outside the timing, the formula column is emptied and set again, which parses
// it, builds the graph and marks its cells as needing a value. The timed resumeEvaluation()
// computes those and gives their values. It is the public call nearest to calculating what is
// compiled already; rebuildAndRecalculate() also parses everything again and takes four times
// as long or more. Times are serial days, made while loading.
import { FunctionArgumentType, FunctionPlugin, HyperFormula } from 'hyperformula';
import { measure } from './harness.mjs';

const COLUMNS = ['A', 'B', 'C', 'Name', 'Code', 'Status', 'Start', 'End'];
const EPOCH = Date.UTC(1899, 11, 30);

// HyperFormula has no regex function; this is its documented way of adding one.
class RegexPlugin extends FunctionPlugin {
  patterns = new Map();

  match(ast, state) {
    return this.runFunction(ast.args, state, this.metadata('REGEXMATCH'), (text, source) => {
      let pattern = this.patterns.get(source);
      if (!pattern) this.patterns.set(source, (pattern = new RegExp(source)));
      return pattern.test(text);
    });
  }
}
RegexPlugin.implementedFunctions = {
  REGEXMATCH: {
    method: 'match',
    parameters: [{ argumentType: FunctionArgumentType.STRING }, { argumentType: FunctionArgumentType.STRING }],
  },
};
HyperFormula.registerFunctionPlugin(RegexPlugin, { enGB: { REGEXMATCH: 'REGEXMATCH' } });

// Columns A to H of the sheet in the order of COLUMNS.
const formulas = {
  arithmetic: [(n) => `=(A${n}*B${n}+C${n})/2`],
  comparison: [(n) => `=A${n}>B${n}`],
  nested_if: [(n) => `=IF(A${n}>800,"top",IF(A${n}>600,"high",IF(A${n}>400,"middle",IF(A${n}>200,"low",IF(A${n}>0,"least","none")))))`],
  text: [(n) => `=LEFT(D${n},FIND(" ",D${n})-1)`],
  switch: [(n) => `=SWITCH(F${n},"New","1 new","Open","2 open","Waiting","3 waiting","Review","4 review","Done","5 done","other")`],
  date_format: [(n) => `=TEXT(G${n}+10,"yyyy-mm-dd hh:mm")`, 'TEXT of serial day + 10'],
  date_diff: [(n) => `=TRUNC(H${n}-G${n})`, 'TRUNC of the difference of serial days'],
  regex: [(n) => `=REGEXMATCH(E${n},"^[A-Z]{3}-\\d{4}")`, 'custom function over RegExp'],
};

function maker([formula, note]) {
  return (rows) => {
    const sheet = rows.map((row) => COLUMNS.map((name) => row[name]));
    const engine = HyperFormula.buildFromArray(sheet, { licenseKey: 'gpl-v3', maxRows: rows.length });
    const column = rows.map((_, n) => [formula(n + 1)]);
    const empty = rows.map(() => [null]);
    const top = { sheet: 0, row: 0, col: COLUMNS.length };
    return {
      note,
      prepare: () => {
        engine.suspendEvaluation();
        engine.setCellContents(top, empty);
        engine.setCellContents(top, column);
        // Undo would keep every earlier column alive and slow the later passes.
        engine.clearUndoStack();
      },
      pass: () => engine.resumeEvaluation().map((change) => change.newValue),
    };
  };
}

const serial = (text) => (Date.parse(text) - EPOCH) / 86_400_000;
const load = (row) => ({ ...row, Start: serial(row.Start), End: serial(row.End) });

measure('HyperFormula', load, Object.fromEntries(Object.entries(formulas).map(([key, parts]) => [key, maker(parts)])));
