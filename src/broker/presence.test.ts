// Presence: who is told to be where, once, and what is said for those who went without goodbye.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connection, type TestConnection } from '../../test/support/broker-fixture.ts';
import { Presence, type PresenceEvent } from './presence.ts';

const who = (connectionId: string) => ({ connectionId, name: `the ${connectionId}`, identity: { user: connectionId } });
const told = (event: PresenceEvent<TestConnection> | undefined) =>
  event === undefined ? undefined : [event.kind, event.channelId, event.member.connectionId, event.at];

function withMember(id: string) {
  const presence = new Presence<TestConnection, string>();
  const member = connection(id);
  presence.join(member, who(id), 1);
  return { presence, member };
}

test('joining says who came, once', () => {
  const presence = new Presence<TestConnection, string>();
  const ann = connection('ann');
  assert.deepEqual(presence.join(ann, who('ann'), 5), {
    kind: 'join',
    channelId: undefined,
    member: { ...who('ann'), joinedAt: 5 },
    connection: ann,
    at: 5,
  });
  assert.equal(presence.join(ann, who('ann'), 6), undefined);
  assert.equal(presence.size, 1);
  assert.deepEqual(presence.members(), [{ ...who('ann'), joinedAt: 5 }]);
  assert.deepEqual(presence.connections(), [ann]);
});

test('a connection counts once in a channel, however many subscriptions it has there', () => {
  const { presence, member } = withMember('ann');
  assert.deepEqual(told(presence.enter(member, 'chat', 2)), ['join', 'chat', 'ann', 2]);
  assert.equal(presence.enter(member, 'chat', 3), undefined);
  assert.equal(presence.members('chat').length, 1);
  assert.equal(presence.exit(member, 'chat', 4), undefined);
  assert.equal(presence.members('chat').length, 1);
  assert.deepEqual(told(presence.exit(member, 'chat', 5)), ['leave', 'chat', 'ann', 5]);
  assert.deepEqual(presence.members('chat'), []);
  assert.equal(presence.exit(member, 'chat', 6), undefined);
});

test('a connection that goes leaves each of its channels, then the application', () => {
  const { presence, member } = withMember('ann');
  const bob = connection('bob');
  presence.join(bob, who('bob'), 1);
  for (const channelId of ['a', 'b', 'b']) presence.enter(member, channelId, 1);
  presence.enter(bob, 'b', 1);
  assert.deepEqual(presence.leave(member, false, 9).events.map(told), [
    ['leave', 'a', 'ann', 9],
    ['leave', 'b', 'ann', 9],
    ['leave', undefined, 'ann', 9],
  ]);
  assert.deepEqual(presence.members('a'), []);
  assert.deepEqual(
    presence.members('b').map(({ connectionId }) => connectionId),
    ['bob'],
  );
  assert.equal(presence.has(member), false);
  assert.deepEqual(presence.leave(member, false, 10), { events: [], will: undefined });
});

test('the last will is given back at a departure without goodbye', () => {
  const { presence, member } = withMember('ann');
  assert.equal(presence.setWill(member, 'gone'), true);
  assert.equal(presence.leave(member, false, 2).will, 'gone');
});

test('goodbye voids the will, and so does taking it back', () => {
  const { presence, member } = withMember('ann');
  presence.setWill(member, 'gone');
  assert.equal(presence.leave(member, true, 2).will, undefined);
  const again = withMember('ann');
  again.presence.setWill(again.member, 'gone');
  again.presence.setWill(again.member, undefined);
  assert.equal(again.presence.leave(again.member, false, 2).will, undefined);
});

test('who never joined is in no channel and has no will', () => {
  const presence = new Presence<TestConnection, string>();
  const stranger = connection('x');
  assert.equal(presence.enter(stranger, 'a', 1), undefined);
  assert.equal(presence.exit(stranger, 'a', 1), undefined);
  assert.equal(presence.setWill(stranger, 'w'), false);
  assert.deepEqual(presence.members('a'), []);
});
