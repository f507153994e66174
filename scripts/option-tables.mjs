// docs/options.md and the options that the public entries export: every exported interface or object type
// whose name ends in `Options`, and `Limits`, has a section with one row for each member. The rows are made
// of the comments beside the members, so a row that differs is out of date.

import ts from 'typescript';

const DOCUMENTED = /(?:Options|^Limits)$/;
const HEADER = '| option | type | meaning |\n|---|---|---|';
const HEADING = /^## `([A-Za-z]+)`$/;

/** @typedef {{ option: string, type: string, meaning: string }} OptionRow */
/** @typedef {ReadonlyMap<string, readonly OptionRow[]>} OptionTables */

/** A text on one line, fit for a cell. */
function cell(/** @type {string} */ text) {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').trim();
}

/** The members of an object type, or of all branches of a union, as the project declares them. */
function membersOf(/** @type {ts.Type} */ type) {
  const branches = type.isUnion() ? type.types : [type];
  const members = new Map(branches.flatMap((branch) => branch.getProperties()).map((member) => [member.name, member]));
  return [...members.values()].filter(
    (member) => member.declarations?.[0]?.getSourceFile().isDeclarationFile === false,
  );
}

/** One row for each member of an interface, object type or union of them. @returns {OptionRow[]} */
function rowsOf(/** @type {ts.Symbol} */ symbol, /** @type {ts.TypeChecker} */ checker) {
  return membersOf(checker.getDeclaredTypeOfSymbol(symbol)).map((member) => {
    const declaration = member.declarations?.[0];
    const written = declaration !== undefined && ts.isPropertySignature(declaration) ? declaration.type : declaration;
    return {
      option: member.name,
      type: cell(written?.getText() ?? 'unknown'),
      meaning: cell(ts.displayPartsToString(member.getDocumentationComment(checker))),
    };
  });
}

/** The option types of the project that the members of a type are made of, by name. */
function referredTo(/** @type {ts.Symbol} */ symbol, /** @type {ts.TypeChecker} */ checker) {
  /** @type {Set<string>} */
  const names = new Set();
  /** @type {(node: ts.Node) => void} */
  const visit = (node) => {
    if (ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName) && DOCUMENTED.test(node.typeName.text)) {
      const found = checker.getSymbolAtLocation(node.typeName);
      const target =
        found !== undefined && found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
      const file = target?.declarations?.[0]?.getSourceFile();
      if (file?.isDeclarationFile === false) names.add(node.typeName.text);
    }
    ts.forEachChild(node, visit);
  };
  for (const member of membersOf(checker.getDeclaredTypeOfSymbol(symbol))) {
    for (const declaration of member.declarations ?? []) visit(declaration);
  }
  return names;
}

/** The sources behind the entries, as the compiler sees them. */
export function readProgram(/** @type {readonly string[]} */ entries) {
  return ts.createProgram([...entries], {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    types: ['node'],
    strict: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    skipLibCheck: true,
  });
}

/**
 * The tables of every option type that the entries export, in the order of their names, and the option types
 * that those are made of without being exported: a user could not name them.
 * @param {readonly string[]} entries paths of source files
 * @returns {{ tables: OptionTables, hidden: readonly string[] }}
 */
export function readOptions(entries, program = readProgram(entries)) {
  const checker = program.getTypeChecker();
  /** @type {Map<string, OptionRow[]>} */
  const tables = new Map();
  /** @type {Set<string>} */
  const referred = new Set();
  /** @type {Map<string, ts.Symbol>} */
  const seen = new Map();
  for (const entry of entries) {
    const source = program.getSourceFile(entry);
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${entry} exports nothing`);
    for (const exported of checker.getExportsOfModule(module)) {
      if (!DOCUMENTED.test(exported.name)) continue;
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if ((seen.get(exported.name) ?? symbol) !== symbol) {
        throw new Error(`${entry}: another entry exports other options as ${exported.name}`);
      }
      seen.set(exported.name, symbol);
      if (symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias)) {
        tables.set(exported.name, rowsOf(symbol, checker));
        for (const name of referredTo(symbol, checker)) referred.add(name);
      }
    }
  }
  const hidden = [...referred].filter((name) => !tables.has(name)).sort();
  return { tables: new Map([...tables].sort(([a], [b]) => (a < b ? -1 : 1))), hidden };
}

/** @returns {string} */
function tableText(/** @type {readonly OptionRow[]} */ rows) {
  const lines = rows.map((row) => `| \`${row.option}\` | \`${row.type}\` | ${row.meaning} |`);
  return [HEADER, ...lines].join('\n');
}

/** The document cut at its headings: the name of the option type, if it is one, and the text up to the next heading. */
function sectionsOf(/** @type {string} */ markdown) {
  return markdown.split(/^(?=## )/m).map((text) => {
    const [heading = ''] = text.split('\n', 1);
    return { name: HEADING.exec(heading)?.[1], text };
  });
}

/** Where the document and the tables differ. */
export function optionFaults(/** @type {string} */ markdown, /** @type {OptionTables} */ tables) {
  const sections = sectionsOf(markdown);
  const faults = sections
    .filter(({ name }) => name !== undefined && !tables.has(name))
    .map(({ name }) => `${name}: no entry exports such options`);
  for (const [name, rows] of tables) {
    const found = sections.filter((section) => section.name === name);
    if (found.length !== 1) faults.push(`${name}: ${found.length} sections instead of one`);
    else if (found[0]?.text.includes(`\n${tableText(rows)}\n`) !== true)
      faults.push(`${name}: the table is out of date`);
    for (const row of rows) if (row.meaning === '') faults.push(`${name}.${row.option}: no comment in the source`);
  }
  return faults;
}

/**
 * The document with every table made anew. What is written between a heading and its table stays; sections of
 * new options come last, those of options that are no more go.
 * @param {string} markdown
 * @param {OptionTables} tables
 */
export function rewriteOptions(markdown, tables) {
  const sections = sectionsOf(markdown).filter(({ name }) => name === undefined || tables.has(name));
  const there = new Set(sections.map(({ name }) => name));
  const kept = sections.map(({ name, text }) => {
    const rows = tables.get(name ?? '');
    if (rows === undefined) return text;
    const words = text
      .split('\n')
      .filter((line) => !line.startsWith('|'))
      .join('\n');
    return `${words.trimEnd()}\n\n${tableText(rows)}\n\n`;
  });
  const added = [...tables]
    .filter(([name]) => !there.has(name))
    .map(([name, rows]) => `## \`${name}\`\n\n${tableText(rows)}\n\n`);
  return `${[...kept, ...added].join('').trimEnd()}\n`;
}
