// A process that uses a named pipe and ends without having closed it. Its arguments: how it ends, and the folder.

import { Pipe, PipeSender } from '../../src/pipe/index.ts';

const [, , way = '', directory = ''] = process.argv;

async function listen(daemon: boolean, callback: () => unknown = () => {}): Promise<void> {
  await new Pipe('p', callback, { directory, daemon }).listen();
  console.log('ready');
}

switch (way) {
  case 'exit':
    await listen(false, () => process.exit(3));
    break;
  case 'throw':
    await listen(false, () => {
      setImmediate(() => {
        throw new Error('nobody catches this');
      });
    });
    break;
  case 'stdin':
    // Nothing else keeps it alive once its standard input has ended.
    await listen(true);
    process.stdin.resume();
    break;
  case 'exit-while-opening':
    void new Pipe('p', () => {}, { directory }).listen();
    process.exit(3);
    break;
  case 'exit-while-meeting':
    new PipeSender('p', { directory }).send('x').catch(() => {});
    process.exit(3);
    break;
  default:
    throw new Error(way);
}
