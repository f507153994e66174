// The index of wildcard subscriptions of one application: tokens lead from node to node, so finding the
// entries that match a channel costs its tokens and the matches, not the number of patterns.

import { ANY_REST, ANY_TOKEN, isSystemName, tokensOf } from '../protocol/names.ts';

interface TrieNode<S> {
  readonly literal: Map<string, TrieNode<S>>;
  /** The way on for `*`. */
  star: TrieNode<S> | undefined;
  /** Entries whose pattern ends here. */
  readonly here: Set<S>;
  /** Entries whose pattern goes on from here with `>`. */
  readonly rest: Set<S>;
}

export class PatternTrie<S extends object> {
  #root: TrieNode<S> = emptyNode();
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
    const tokens = tokensOf(pattern);
    const open = tokens.at(-1) === ANY_REST;
    let node = this.#root;
    for (let index = 0; index < tokens.length - (open ? 1 : 0); index += 1) {
      node = stepOrGrow(node, tokens[index] as string);
    }
    const place = open ? node.rest : node.here;
    if (place.has(entry)) return false;
    place.add(entry);
    this.#size += 1;
    this.#version += 1;
    return true;
  }

  /** `false` where the entry was not there. Nodes that lead nowhere any more are given up. */
  remove(pattern: string, entry: S): boolean {
    const tokens = tokensOf(pattern);
    const open = tokens.at(-1) === ANY_REST;
    const path: TrieNode<S>[] = [this.#root];
    for (let index = 0; index < tokens.length - (open ? 1 : 0); index += 1) {
      const node = step(path.at(-1) as TrieNode<S>, tokens[index] as string);
      if (node === undefined) return false;
      path.push(node);
    }
    const last = path.at(-1) as TrieNode<S>;
    if (!(open ? last.rest : last.here).delete(entry)) return false;
    for (let depth = path.length - 1; depth > 0 && isEmpty(path[depth] as TrieNode<S>); depth -= 1) {
      detach(path[depth - 1] as TrieNode<S>, tokens[depth - 1] as string);
    }
    this.#size -= 1;
    this.#version += 1;
    return true;
  }

  /** Every entry whose pattern matches the channel; none for a system channel. */
  match(channel: string): S[] {
    const found: S[] = [];
    if (this.#size > 0 && !isSystemName(channel)) collect(this.#root, tokensOf(channel), 0, found);
    return found;
  }

  /** How many nodes are kept besides the root: what the index costs when nobody subscribes any more is 0. */
  get nodeCount(): number {
    return countBelow(this.#root);
  }
}

function emptyNode<S>(): TrieNode<S> {
  return { literal: new Map(), star: undefined, here: new Set(), rest: new Set() };
}

function isEmpty<S>(node: TrieNode<S>): boolean {
  return node.literal.size === 0 && node.star === undefined && node.here.size === 0 && node.rest.size === 0;
}

function step<S>(node: TrieNode<S>, token: string): TrieNode<S> | undefined {
  return token === ANY_TOKEN ? node.star : node.literal.get(token);
}

function stepOrGrow<S>(node: TrieNode<S>, token: string): TrieNode<S> {
  const known = step(node, token);
  if (known !== undefined) return known;
  const grown = emptyNode<S>();
  if (token === ANY_TOKEN) node.star = grown;
  else node.literal.set(token, grown);
  return grown;
}

function detach<S>(parent: TrieNode<S>, token: string): void {
  if (token === ANY_TOKEN) parent.star = undefined;
  else parent.literal.delete(token);
}

// Deep as the channel has tokens: at most 256, because names are bounded.
function collect<S>(node: TrieNode<S>, tokens: readonly string[], depth: number, found: S[]): void {
  if (depth === tokens.length) {
    for (const entry of node.here) found.push(entry);
    return;
  }
  for (const entry of node.rest) found.push(entry);
  const literal = node.literal.get(tokens[depth] as string);
  if (literal !== undefined) collect(literal, tokens, depth + 1, found);
  if (node.star !== undefined) collect(node.star, tokens, depth + 1, found);
}

function countBelow<S>(node: TrieNode<S>): number {
  let count = 0;
  for (const child of node.literal.values()) count += 1 + countBelow(child);
  if (node.star !== undefined) count += 1 + countBelow(node.star);
  return count;
}
