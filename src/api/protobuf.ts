import { badRequest, unsupported } from './failure.ts'

/**
 * Kubernetes' protobuf for the few bodies that stock kubectl sends in nothing else: `create secret`,
 * `create namespace`, `auth can-i`, and the evictions of `drain`. Field numbers are those of k8s.io/api's
 * generated.proto; what is not named here is skipped.
 */
export function parseProtobuf(body: Uint8Array): unknown {
  if (!magic.every((byte, at) => body[at] === byte)) throw badRequest('the body is not Kubernetes protobuf')
  const unknown = message(body.subarray(magic.length), envelope)
  const { typeMeta } = unknown
  const { apiVersion, kind }: Message = isMessage(typeMeta) ? typeMeta : {}
  const shape = shapes.get(`${apiVersion}/${kind}`)
  const raw = unknown['raw']
  if (shape === undefined || !(raw instanceof Uint8Array)) {
    throw unsupported(`a ${String(kind).slice(0, 100)} is not read as protobuf here; send application/json`)
  }
  return { apiVersion, kind, ...message(raw, shape) }
}

export const protobufType = 'application/vnd.kubernetes.protobuf'

type Field =
  | { name: string; type: 'text' | 'bytes' | 'base64' | 'number' | 'boolean'; list?: true }
  | { name: string; type: 'message'; of: Shape; list?: true }
  | { name: string; type: 'map'; value: 'text' | 'base64' }
type Shape = ReadonlyMap<number, Field>

const text = (name: string): Field => ({ name, type: 'text' })
const texts = (name: string): Field => ({ name, type: 'text', list: true })
const whole = (name: string): Field => ({ name, type: 'number' })
const yes = (name: string): Field => ({ name, type: 'boolean' })
const map = (name: string, value: 'text' | 'base64' = 'text'): Field => ({ name, type: 'map', value })
const inner = (name: string, of: Shape): Field => ({ name, type: 'message', of })

const magic = [0x6b, 0x38, 0x73, 0x00] // "k8s\0"
const envelope: Shape = new Map<number, Field>([
  [
    1,
    inner(
      'typeMeta',
      new Map([
        [1, text('apiVersion')],
        [2, text('kind')],
      ]),
    ),
  ],
  [2, { name: 'raw', type: 'bytes' }],
])
const meta: Shape = new Map([
  [1, text('name')],
  [2, text('generateName')],
  [3, text('namespace')],
  [5, text('uid')],
  [6, text('resourceVersion')],
  [11, map('labels')],
  [12, map('annotations')],
  [14, texts('finalizers')],
])
const deleteOptions: Shape = new Map<number, Field>([
  [1, whole('gracePeriodSeconds')],
  [
    2,
    inner(
      'preconditions',
      new Map([
        [1, text('uid')],
        [2, text('resourceVersion')],
      ]),
    ),
  ],
  [4, text('propagationPolicy')],
  [5, texts('dryRun')],
])
const shapes: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ['v1/Namespace', new Map([[1, inner('metadata', meta)]])],
  [
    'v1/Secret',
    new Map<number, Field>([
      [1, inner('metadata', meta)],
      [2, map('data', 'base64')],
      [3, text('type')],
      [4, map('stringData')],
      [5, yes('immutable')],
    ]),
  ],
  ['v1/DeleteOptions', deleteOptions],
  [
    'policy/v1/Eviction',
    new Map([
      [1, inner('metadata', meta)],
      [2, inner('deleteOptions', deleteOptions)],
    ]),
  ],
  ['authorization.k8s.io/v1/SelfSubjectAccessReview', new Map()],
])

type Message = Record<string, unknown>

/** Shapes are finite and name no cycle, so the depth of what is read is theirs, whatever the bytes say. */
function message(bytes: Uint8Array, shape: Shape): Message {
  const found: Message = {}
  const reader = new Reader(bytes)
  while (!reader.isOver()) {
    const tag = reader.varint()
    const field = shape.get(Math.floor(tag / 8))
    const value = reader.value(tag % 8)
    if (field !== undefined) take(found, field, value)
  }
  return found
}

function take(found: Message, field: Field, value: number | Uint8Array): void {
  if (field.type === 'map') {
    const entry = message(bytesIn(value), entryShapes[field.value])
    const key = String(entry['key'] ?? '')
    if (key === '__proto__')
      throw badRequest('the body has a field named "__proto__", which no resource has; remove it')
    const known = found[field.name]
    const map: Message = isMessage(known) ? known : {}
    if (Object.hasOwn(map, key))
      throw badRequest(`${field.name} has the key ${JSON.stringify(key.slice(0, 100))} twice; keep one`)
    map[key] = entry['value'] ?? ''
    found[field.name] = map
    return
  }
  const read = readAs(field, value)
  if (read === '' && field.list !== true) return // Go writes fields that were left out as empty texts
  const before = found[field.name]
  if (field.list !== true) found[field.name] = read
  else if (Array.isArray(before)) before.push(read)
  else found[field.name] = [read]
}

const entryShapes: { readonly [V in 'text' | 'base64']: Shape } = {
  text: new Map([
    [1, text('key')],
    [2, text('value')],
  ]),
  base64: new Map<number, Field>([
    [1, text('key')],
    [2, { name: 'value', type: 'base64' }],
  ]),
}

function readAs(field: Exclude<Field, { type: 'map' }>, value: number | Uint8Array): unknown {
  switch (field.type) {
    case 'number':
      return value
    case 'boolean':
      return value !== 0
    case 'bytes':
      return bytesIn(value)
    case 'base64':
      return Buffer.from(bytesIn(value)).toString('base64')
    case 'message':
      return message(bytesIn(value), field.of)
    case 'text':
      return utf8(bytesIn(value))
  }
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw broken()
  }
}

function bytesIn(value: number | Uint8Array): Uint8Array {
  if (typeof value === 'number') throw broken()
  return value
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null
}

const broken = () => badRequest('the protobuf body is broken')

class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  isOver(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** Exact up to 2^53; no number that we read is larger. */
  varint(): number {
    let value = 0
    for (let place = 1, length = 0; length < 10; place *= 128, length++) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw broken()
      value += (byte & 0x7f) * place
      if (byte < 128) return value
    }
    throw broken()
  }

  value(wireType: number): number | Uint8Array {
    if (wireType === 0) return this.varint()
    if (wireType === 2) return this.take(this.varint())
    if (wireType === 1) return this.take(8)
    if (wireType === 5) return this.take(4)
    throw broken()
  }

  private take(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) throw broken()
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }
}
