import { z } from 'zod';
import type { PathStep } from '../components/rules/finding.ts';
import { configFile } from '../components/sections.ts';

/** The parts of a JSON Schema that this program looks at. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  /** What holds by default, in words, where no single value says it. */
  readonly defaultText?: string;
  readonly examples?: readonly unknown[];
  /** What the reference page calls the type. */
  readonly kind?: string;
  readonly unit?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
}

let built: SchemaNode | undefined;

/** The language as JSON Schema, with our own notes (`unit`, `defaultText`) still in it. Built once: it costs some 10 ms. */
export function languageSchema(): SchemaNode {
  built ??= z.toJSONSchema(configFile, {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
    // zod leaves out what was said of a value in its input form once a transform follows; it is what users write.
    override: ({ zodSchema, jsonSchema }) => {
      const { examples, default: fallback } = z.globalRegistry.get(zodSchema) ?? {};
      if (examples !== undefined) jsonSchema.examples = [...(examples as unknown[])];
      const { def } = zodSchema._zod;
      const filledIn = def.type === 'default' ? def.defaultValue : fallback;
      if (filledIn !== undefined) jsonSchema.default = filledIn as never;
    },
  }) as SchemaNode;
  return built;
}

/** The variants of a node: itself, or what it may be instead. */
export function variants(node: SchemaNode): readonly SchemaNode[] {
  return node.anyOf ?? node.oneOf ?? [node];
}

/** The nodes that describe what stands at a path; several where the language allows several forms. */
export function schemaAt(path: readonly PathStep[]): readonly SchemaNode[] {
  let nodes: readonly SchemaNode[] = [languageSchema()];
  for (const step of path) {
    nodes = nodes.flatMap(variants).flatMap((node) => child(node, step));
  }
  return nodes.flatMap(variants);
}

function child(node: SchemaNode, step: PathStep): readonly SchemaNode[] {
  if (typeof step === 'number') return node.items === undefined ? [] : [node.items];
  const properties = node.properties ?? {};
  const property = Object.hasOwn(properties, step) ? properties[step] : undefined;
  if (property !== undefined) return [property];
  return typeof node.additionalProperties === 'object' ? [node.additionalProperties] : [];
}

/** Keys that may stand in the mapping at a path. */
export function keysAt(path: readonly PathStep[]): readonly string[] {
  return [...new Set(schemaAt(path).flatMap((node) => Object.keys(node.properties ?? {})))];
}
