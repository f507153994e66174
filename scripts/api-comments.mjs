// What the public entries export has a comment: every class, function, type and value, and every public
// member of a class or an interface. An editor shows nothing else to who uses the package.

import ts from 'typescript';
import { readProgram } from './option-tables.mjs';

/** Members whose name says all, wherever they stand. */
const KNOWN_BY_NAME = /^(?:__@|name$|prototype$|constructor$)/;

/** The symbol that an export stands for. */
function target(/** @type {ts.Symbol} */ symbol, /** @type {ts.TypeChecker} */ checker) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

function isOurs(/** @type {ts.Declaration} */ declaration) {
  return !declaration.getSourceFile().isDeclarationFile;
}

function isHidden(/** @type {ts.Declaration} */ declaration) {
  const hiding = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  if ((ts.getCombinedModifierFlags(declaration) & hiding) !== 0) return true;
  const name = ts.getNameOfDeclaration(declaration);
  return name !== undefined && ts.isPrivateIdentifier(name);
}

function hasComment(/** @type {ts.Symbol} */ symbol, /** @type {ts.TypeChecker} */ checker) {
  return symbol.getDocumentationComment(checker).length > 0 || symbol.getJsDocTags(checker).length > 0;
}

/** Public members of a class or interface without a word about them. @returns {string[]} */
function silentMembers(/** @type {ts.Symbol} */ symbol, /** @type {ts.TypeChecker} */ checker) {
  if ((symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface)) === 0) return [];
  return checker
    .getDeclaredTypeOfSymbol(symbol)
    .getProperties()
    .filter((member) => !KNOWN_BY_NAME.test(member.name))
    .filter((member) => member.declarations?.some((one) => isOurs(one) && !isHidden(one)) === true)
    .filter((member) => !hasComment(member, checker))
    .map((member) => member.name);
}

/**
 * Each export, and each public member of one, that has no comment, under its name.
 * @param {readonly string[]} entries
 * @returns {string[]}
 */
export function silentExports(entries, program = readProgram(entries)) {
  const checker = program.getTypeChecker();
  /** @type {Set<string>} */
  const faults = new Set();
  /** @type {Set<ts.Symbol>} */
  const seen = new Set();
  for (const entry of entries) {
    const source = program.getSourceFile(entry);
    const module = source && checker.getSymbolAtLocation(source);
    for (const exported of module === undefined ? [] : checker.getExportsOfModule(module)) {
      const symbol = target(exported, checker);
      if (seen.has(symbol) || symbol.declarations?.some(isOurs) !== true) continue;
      seen.add(symbol);
      if (!hasComment(symbol, checker)) faults.add(exported.name);
      for (const member of silentMembers(symbol, checker)) faults.add(`${exported.name}.${member}`);
    }
  }
  return [...faults].sort();
}
