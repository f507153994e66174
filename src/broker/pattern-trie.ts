// The index of wildcard subscriptions of one application: tokens lead from node to node, so finding the
// entries that match a channel costs its tokens and the matches, not the number of patterns.
//
// A pattern costs at most DEPTH_MAX nodes. What a longer one asks beyond that is compared token by token;
// otherwise one subscription of 255 bytes could make us hold 128 nodes.

import { ANY_REST, ANY_TOKEN, isSystemName, patternMatches, tokensOf } from '../protocol/names.ts';

const DEPTH_MAX = 8;

interface TrieNode<S> {
  literal: Map<string, TrieNode<S>> | undefined;
  /** The way on for `*`. */
  star: TrieNode<S> | undefined;
  /** Entries whose pattern ends here. */
  here: Set<S> | undefined;
  /** Entries whose pattern goes on from here with `>` alone. */
  rest: Set<S> | undefined;
  /** At the last depth: entries of patterns that go on, by the whole pattern. */
  deep: Map<string, Set<S>> | undefined;
}

/** How the nodes see a pattern. */
interface Route {
  readonly pattern: string;
  /** The tokens that lead from node to node. */
  readonly steps: readonly string[];
  readonly end: 'here' | 'rest' | 'deep';
}

export class PatternTrie<S extends object> {
  readonly #root: TrieNode<S> = emptyNode();
  #version = 0;
  #size = 0;

  /** Changes with every change of the index; whoever keeps a result compares it. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#size;
  }

  /** The pattern must have passed `checkPattern`. `false` where the entry was there already. */
  add(pattern: string, entry: S): boolean {
    const route = routeOf(pattern);
    let node = this.#root;
    for (const token of route.steps) node = stepOrGrow(node, token);
    const place = placeOrGrow(node, route);
    if (place.has(entry)) return false;
    place.add(entry);
    this.#size += 1;
    this.#version += 1;
    return true;
  }

  /** `false` where the entry was not there. Nodes that lead nowhere any more are given up. */
  remove(pattern: string, entry: S): boolean {
    const route = routeOf(pattern);
    const path: TrieNode<S>[] = [this.#root];
    let node = this.#root;
    for (const token of route.steps) {
      const next = step(node, token);
      if (next === undefined) return false;
      path.push(next);
      node = next;
    }
    if (!removeFrom(node, route, entry)) return false;
    for (let depth = path.length - 1; depth > 0 && isEmpty(path[depth] as TrieNode<S>); depth -= 1) {
      detach(path[depth - 1] as TrieNode<S>, route.steps[depth - 1] as string);
    }
    this.#size -= 1;
    this.#version += 1;
    return true;
  }

  /** Every entry whose pattern matches the channel; none for a system channel. */
  match(channel: string): S[] {
    const found: S[] = [];
    if (this.#size > 0 && !isSystemName(channel)) collect(this.#root, channel, tokensOf(channel), 0, found);
    return found;
  }

  /** How many nodes are kept besides the root: none when there is no entry. */
  get nodeCount(): number {
    return countBelow(this.#root);
  }
}

function routeOf(pattern: string): Route {
  const tokens = tokensOf(pattern);
  const open = tokens.at(-1) === ANY_REST;
  const fixed = open ? tokens.slice(0, -1) : tokens;
  if (fixed.length > DEPTH_MAX) return { pattern, steps: fixed.slice(0, DEPTH_MAX), end: 'deep' };
  return { pattern, steps: fixed, end: open ? 'rest' : 'here' };
}

function emptyNode<S>(): TrieNode<S> {
  return { literal: undefined, star: undefined, here: undefined, rest: undefined, deep: undefined };
}

function isEmpty<S>(node: TrieNode<S>): boolean {
  const { literal, star, here, rest, deep } = node;
  return literal === undefined && star === undefined && here === undefined && rest === undefined && deep === undefined;
}

function step<S>(node: TrieNode<S>, token: string): TrieNode<S> | undefined {
  return token === ANY_TOKEN ? node.star : node.literal?.get(token);
}

function stepOrGrow<S>(node: TrieNode<S>, token: string): TrieNode<S> {
  const known = step(node, token);
  if (known !== undefined) return known;
  const grown = emptyNode<S>();
  if (token === ANY_TOKEN) node.star = grown;
  else (node.literal ??= new Map()).set(token, grown);
  return grown;
}

function placeOrGrow<S>(node: TrieNode<S>, { pattern, end }: Route): Set<S> {
  if (end !== 'deep') return (node[end] ??= new Set());
  const deep = (node.deep ??= new Map<string, Set<S>>());
  const known = deep.get(pattern);
  if (known !== undefined) return known;
  const place = new Set<S>();
  deep.set(pattern, place);
  return place;
}

function removeFrom<S>(node: TrieNode<S>, { pattern, end }: Route, entry: S): boolean {
  const place = end === 'deep' ? node.deep?.get(pattern) : node[end];
  if (place === undefined || !place.delete(entry)) return false;
  if (place.size > 0) return true;
  if (end !== 'deep') node[end] = undefined;
  else {
    node.deep?.delete(pattern);
    if (node.deep?.size === 0) node.deep = undefined;
  }
  return true;
}

function detach<S>(parent: TrieNode<S>, token: string): void {
  if (token === ANY_TOKEN) parent.star = undefined;
  else {
    parent.literal?.delete(token);
    if (parent.literal?.size === 0) parent.literal = undefined;
  }
}

function collect<S>(node: TrieNode<S>, channel: string, tokens: readonly string[], depth: number, found: S[]): void {
  if (depth === tokens.length) {
    append(found, node.here);
    return;
  }
  append(found, node.rest);
  if (node.deep !== undefined) {
    for (const [pattern, entries] of node.deep) if (patternMatches(pattern, channel)) append(found, entries);
  }
  const literal = node.literal?.get(tokens[depth] as string);
  if (literal !== undefined) collect(literal, channel, tokens, depth + 1, found);
  if (node.star !== undefined) collect(node.star, channel, tokens, depth + 1, found);
}

// Not `push(...entries)`: a hundred thousand arguments are more than the stack takes.
function append<S>(found: S[], entries: ReadonlySet<S> | undefined): void {
  if (entries !== undefined) for (const entry of entries) found.push(entry);
}

function countBelow<S>(node: TrieNode<S>): number {
  const children = [...(node.literal?.values() ?? []), ...(node.star === undefined ? [] : [node.star])];
  return children.reduce((count, child) => count + 1 + countBelow(child), 0);
}
