import assert from 'node:assert/strict';
import { test } from 'node:test';
import { laneOfFile, lanePaths, pipePaths, pipePlace } from './names.ts';

const ID = '00112233445566778899aabbccddeeff';
const skip = process.platform === 'win32' ? 'paths of POSIX' : false;

test('the files of a pipe are its name with a suffix, in the directory', { skip }, () => {
  assert.deepEqual(pipePaths('jobs', '/run/app'), {
    kind: 'fifo',
    name: 'jobs',
    data: '/run/app/jobs',
    ack: '/run/app/jobs_ack',
    door: '/run/app/jobs_isthmus',
    lock: '/run/app/jobs_lock',
  });
  assert.equal(pipePaths('/elsewhere/jobs', '/run/app').data, '/elsewhere/jobs');
});

test('a file is a lane of the pipe whose name it bears, and of no other', { skip }, () => {
  const jobs = pipePaths('jobs', '/run/app');
  const { up, down } = lanePaths(jobs, ID);
  assert.equal(up, `/run/app/jobs_${ID}_up`);
  for (const path of [up, down]) assert.equal(laneOfFile(jobs, path.slice('/run/app/'.length)), ID);
  for (const file of ['jobs', 'jobs_ack', `other_${ID}_up`, `old_jobs_${ID}_up`, `jobs_${ID}_sideways`, `jobs_${ID}`]) {
    assert.equal(laneOfFile(jobs, file), undefined, file);
  }
});

test('the longest name leaves room for every suffix in the 255 bytes of a file name', { skip }, () => {
  const longest = 'x'.repeat(217);
  const { down } = lanePaths(pipePaths(longest, '/'), ID);
  assert.equal(down.length - 1, 255);
  assert.throws(() => pipePaths(`${longest}x`, '/'), { code: 'USAGE_INVALID_NAME', errorCode: 'INVALID_PIPE_NAME' });
  assert.throws(() => pipePaths('é'.repeat(109), '/'), { code: 'USAGE_INVALID_NAME' });
});

test('a name that is no text is refused', () => {
  for (const name of [undefined, null, 7, {}])
    assert.throws(() => pipePlace(name, '/'), { code: 'USAGE_INVALID_NAME' });
});
