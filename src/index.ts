// The public entry `isthmus`: the server and the client, in Node.

export * from './client/index.ts';
export * from './server/index.ts';
