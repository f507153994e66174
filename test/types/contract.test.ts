// The compiler's side of contracts: these tests pass when they compile.

import { test } from 'node:test';
import { expectTypeOf } from 'expect-type';
import { defineContract, IPCClient, type Message, type Subscription } from '../../src/client/index.ts';
import { date, number, numbers, text } from '../support/schemas.ts';

interface Order {
  id: string;
  total: number;
}

interface Shop {
  requests: {
    sum: { request: number[]; response: number };
    find: { request: { id: string }; response: Order | null };
  };
  events: { 'orders.created': Order; 'prices.changed': number };
}

// Never called: only their types matter.
const typed = () => new IPCClient<Shop>('shop');
const untyped = () => new IPCClient('shop');
const described = () =>
  new IPCClient('shop', {
    contract: defineContract({
      requests: { sum: { request: numbers, response: number }, when: { request: text, response: date } },
      events: { tick: date },
    }),
  });

test('an interface types requests, responses and events by channel', () => {
  type Client = ReturnType<typeof typed>;
  const use = async (client: Client) => {
    expectTypeOf(await client.call('sum', [1])).toEqualTypeOf<number>();
    expectTypeOf(await client.sendRequest('find', { id: '1' })).toEqualTypeOf<Message<Order | null>>();
    expectTypeOf(await client.sendRequest('sum', [1], { nullOnTimeout: true })).toEqualTypeOf<Message<number> | null>();
    expectTypeOf(await client.subscribe('orders.created')).toEqualTypeOf<Subscription<Order>>();
    expectTypeOf(await client.subscribe('orders.*')).toEqualTypeOf<Subscription<Order | number>>();
    for await (const found of client.stream('find', { id: '1' })) expectTypeOf(found).toEqualTypeOf<Order | null>();
    client.publish('prices.changed', 3);
    await client.serve('sum', ({ payload }) => {
      expectTypeOf(payload).toEqualTypeOf<number[]>();
      return payload.length;
    });
    // @ts-expect-error no such channel
    void client.call('product', [1]);
    // @ts-expect-error a wrong request
    void client.call('sum', ['1']);
    // @ts-expect-error a wrong event
    client.publish('prices.changed', 'cheap');
    // @ts-expect-error no such event
    void client.subscribe('orders.deleted');
    // @ts-expect-error a wrong response
    void client.serve('sum', () => 'one');
  };
  expectTypeOf(use).toBeFunction();
});

test('validators type both sides: what is sent and what arrives', () => {
  type Client = ReturnType<typeof described>;
  const use = async (client: Client) => {
    expectTypeOf(await client.call('sum', [1])).toEqualTypeOf<number>();
    expectTypeOf(await client.call('when', 'now')).toEqualTypeOf<Date>();
    expectTypeOf(await client.subscribe('tick')).toEqualTypeOf<Subscription<Date>>();
    client.publish('tick', '2026-01-01');
    // @ts-expect-error it travels as text
    client.publish('tick', new Date());
    await client.serve('when', ({ payload }) => payload);
  };
  expectTypeOf(use).toBeFunction();
});

test('without a contract anything goes, and what arrives is unknown', () => {
  type Client = ReturnType<typeof untyped>;
  const use = async (client: Client) => {
    expectTypeOf(await client.call('anything', { at: 'all' })).toEqualTypeOf<unknown>();
    expectTypeOf(await client.subscribe('a.*')).toEqualTypeOf<Subscription>();
    client.publish('anything', 1);
  };
  expectTypeOf(use).toBeFunction();
});
