// Turns the table of scripts/layers.mjs into rules. `npm run check` runs them; test/tooling/layers.test.ts
// plants a violation of each kind and proves that it is caught.

import { BROWSER_ENTRIES, ENTRIES, LAYERS } from './scripts/layers.mjs';

const ENTRY_FILES = Object.values(ENTRIES).map((file) => `^${file.replaceAll('.', '\\.')}$`);
const UNIT_TEST = '\\.test\\.ts$';

/** One layer imports the layers of its row, its own files, and nothing else of the project. */
const layerRules = Object.entries(LAYERS).map(([name, layer]) => ({
  name: `layer-${name}`,
  comment: `src/${name} may import: ${layer.imports.join(', ') || 'no other layer'}`,
  severity: 'error',
  from: { path: `^src/${name}/`, pathNot: [UNIT_TEST] },
  to: {
    path: '^(?!node_modules/)[^/]+/|^src/[^/]+$',
    pathNot: [`^src/(${[name, ...layer.imports].join('|')})/`, ...(name === 'cli' ? ENTRY_FILES : [])],
    dependencyTypesNot: ['core', 'npm', 'npm-dev', 'npm-peer', 'npm-optional', 'npm-no-pkg', 'npm-unknown'],
  },
}));

/** A unit test sees what its layer sees, and the public test helpers. What crosses layers lives in test/. */
const unitTestRules = Object.entries(LAYERS).map(([name, layer]) => ({
  name: `unit-test-${name}`,
  comment: `unit tests of src/${name} see what src/${name} sees; a test that crosses layers belongs in test/`,
  severity: 'error',
  from: { path: `^src/${name}/.*${UNIT_TEST}` },
  to: {
    path: '^src/',
    pathNot: [`^src/(${[name, 'testing', ...layer.imports].join('|')})/`, ...(name === 'cli' ? ENTRY_FILES : [])],
  },
}));

const nodeRules = Object.entries(LAYERS)
  .filter(([, layer]) => !layer.node)
  .map(([name]) => ({
    name: `no-node-in-${name}`,
    comment: `src/${name} also runs where there is no Node`,
    severity: 'error',
    from: { path: `^src/${name}/`, pathNot: [UNIT_TEST] },
    to: { dependencyTypes: ['core'] },
  }));

const packageRules = Object.entries(LAYERS).map(([name, layer]) => ({
  name: `packages-of-${name}`,
  comment: `src/${name} may import the packages: ${layer.packages.join(', ') || 'none'}`,
  severity: 'error',
  from: { path: `^src/${name}/`, pathNot: [UNIT_TEST] },
  to: {
    dependencyTypes: ['npm', 'npm-dev', 'npm-peer', 'npm-optional', 'npm-no-pkg', 'npm-unknown', 'unknown'],
    ...(layer.packages.length > 0 && { pathNot: [`(^|/)node_modules/(@types/)?(${layer.packages.join('|')})(/|$)`] }),
  },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...layerRules,
    ...unitTestRules,
    ...nodeRules,
    ...packageRules,
    {
      name: 'every-folder-is-a-layer',
      comment: 'a folder of src that is no row of scripts/layers.mjs has no rules',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: [`^src/(${Object.keys(LAYERS).join('|')})/`] },
      to: {},
    },
    {
      name: 'two-levels',
      comment: 'src is two levels deep, so that an import path names the layer that it enters',
      severity: 'error',
      from: {},
      to: { path: '^src/[^/]+/[^/]+/' },
    },
    {
      name: 'no-cycle',
      comment: 'files that import each other can only be understood together; types count as well',
      severity: 'error',
      from: { path: '^(src|test|scripts)/' },
      to: { circular: true },
    },
    {
      name: 'no-barrel-inside',
      comment: 'barrels are for users; used inside the library they make rings',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/cli/', UNIT_TEST, ...ENTRY_FILES] },
      to: { path: ENTRY_FILES },
    },
    {
      name: 'browser-without-node',
      comment: 'what a browser loads reaches no module of Node and no package made for it',
      severity: 'error',
      from: { path: BROWSER_ENTRIES.map((entry) => `^${ENTRIES[entry]}$`) },
      to: {
        path: '^node:|^(net|fs|tls|http|https|crypto|events|stream|buffer|os|path|util|ws)$|(^|/)node_modules/ws/',
        reachable: true,
      },
    },
    {
      name: 'examples-are-users',
      comment: 'an example shows what a user writes: it imports the package by its name',
      severity: 'error',
      from: { path: '^examples/' },
      to: { path: '^(src|test|scripts|dist|build)/', pathNot: ENTRY_FILES },
    },
    {
      name: 'no-test-in-product',
      comment: 'what is published imports no test, script or benchmark',
      severity: 'error',
      from: { path: '^src/', pathNot: [UNIT_TEST] },
      to: { path: `^(test|scripts|bench|examples)/|${UNIT_TEST}` },
    },
    {
      name: 'resolvable',
      comment: 'the imported module does not exist',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules'] },
    exclude: { path: ['^(dist|build|bench)/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    combinedDependencies: false,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'node', 'default'] },
    cache: false,
  },
};
