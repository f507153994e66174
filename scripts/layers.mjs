// The layers of src as data: what each folder may import. .dependency-cruiser.mjs makes rules of it,
// scripts/check-style.mjs and the tests read it. docs/architecture.md says why the layers are as they are.

/**
 * @typedef {object} Layer
 * @property {readonly string[]} imports the other layers that it may import
 * @property {boolean} node whether it may import modules of Node
 * @property {boolean} [pure] no Node, DOM, clock or randomness of its own: the compiler and the style check hold it to that
 * @property {readonly string[]} packages the npm packages that it may import
 */

/** @type {Readonly<Record<string, Layer>>} */
export const LAYERS = {
  base: { imports: [], node: false, pure: true, packages: [] },
  protocol: { imports: ['base'], node: false, pure: true, packages: ['@standard-schema/spec'] },
  session: { imports: ['base', 'protocol'], node: false, pure: true, packages: [] },
  broker: { imports: ['base', 'protocol'], node: false, pure: true, packages: [] },
  transports: { imports: ['base', 'protocol'], node: true, packages: ['ws'] },
  connection: { imports: ['base', 'protocol', 'session', 'transports'], node: false, packages: [] },
  native: { imports: ['base'], node: true, packages: [] },
  shm: { imports: ['base', 'native'], node: true, packages: [] },
  pipe: { imports: ['base', 'native'], node: true, packages: [] },
  backplane: { imports: ['base', 'protocol'], node: true, packages: [] },
  client: { imports: ['base', 'protocol', 'session', 'transports', 'connection'], node: true, packages: [] },
  server: {
    imports: ['base', 'protocol', 'session', 'broker', 'transports', 'connection', 'backplane'],
    node: true,
    packages: ['ws'],
  },
  admin: { imports: ['base', 'protocol', 'server'], node: true, packages: [] },
  testing: {
    imports: ['base', 'protocol', 'session', 'broker', 'transports', 'connection', 'backplane', 'client', 'server'],
    node: true,
    packages: [],
  },
  cli: { imports: [], node: true, packages: [] },
};

export const PURE = Object.keys(LAYERS).filter((name) => LAYERS[name]?.pure === true);

/**
 * The public entries by the name that users import. Barrels exist only here; nothing inside src imports
 * them but the command, which is a user like any other.
 * @type {Readonly<Record<string, string>>}
 */
export const ENTRIES = {
  '.': 'src/index.ts',
  './client': 'src/client/index.ts',
  './browser': 'src/browser.ts',
  './server': 'src/server/index.ts',
  './shm': 'src/shm/index.ts',
  './pipe': 'src/pipe/index.ts',
  './nats': 'src/nats.ts',
  './react': 'src/react.ts',
  './vue': 'src/vue.ts',
  './testing': 'src/testing/index.ts',
};

/** Entries that must run without Node. */
export const BROWSER_ENTRIES = ['./browser'];
