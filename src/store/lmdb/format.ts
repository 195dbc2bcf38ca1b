import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type KindName, kindNames } from '../../model/registry.ts'
import { freezeInPlace } from '../json.ts'
import { isStored, type Stored } from '../stored.ts'
import { damaged } from './errors.ts'

/**
 * Data format 2. `FORMAT` names it in words that any version can read. `store.mdb` holds, in its one table, `m/format`,
 * `m/revision` and a record `r/KIND/NAMESPACE/NAME` per resource. Every value is the CRC-32 of key and text, then the
 * text, which is JSON: so a record that was swapped, cut or overwritten is found when it is read.
 *
 * Format 1 had the same records as plain JSON under `KIND/NAMESPACE/NAME`, and `revision`.
 */
export const formatNow = 2
export const storeFile = 'store.mdb'
export const formatFile = 'FORMAT'
export const formatKey = 'm/format'
export const revisionKey = 'm/revision'
export const recordPrefix = 'r/'

export function recordKey(kind: KindName, key: string): string {
  return `${recordPrefix}${kind}/${key}`
}

/** Kind and key within it, of a key without prefix. */
export function splitKey(path: string): { kind: KindName; key: string } | undefined {
  const slash = path.indexOf('/')
  const kind = kindNames.find((name) => name === path.slice(0, slash))
  return kind === undefined ? undefined : { kind, key: path.slice(slash + 1) }
}

/** Eight hexadecimal digits of checksum, a space, the text. */
export function sealed(key: string, text: string): Buffer {
  const bytes = Buffer.allocUnsafe(9 + Buffer.byteLength(text))
  bytes.write(text, 9)
  bytes.write(`${checksum(key, bytes)} `, 0, 'latin1')
  return bytes
}

/** The text, if it is the one that was written under this key. */
export function unsealed(key: string, bytes: Buffer): string | undefined {
  if (bytes.length < 9 || bytes.toString('latin1', 0, 9) !== `${checksum(key, bytes)} `) return undefined
  return bytes.toString('utf8', 9)
}

/** CRC-32 as in zip, over the key and then the text. */
function checksum(key: string, bytes: Buffer): string {
  return crc32(bytes.subarray(9), crc32(key)).toString(16).padStart(8, '0')
}

/** The resource in `text`, checked against the key that it was under. */
export function parseRecord(file: string, key: string, text: string): Stored {
  let object: unknown
  try {
    object = JSON.parse(text)
  } catch {
    throw damaged(file, `record ${key} is no JSON`)
  }
  if (!isStored(object)) throw damaged(file, `record ${key} is no resource`)
  const { namespace = '', name } = object.metadata
  if (`${String(object['kind'])}/${namespace}/${name}` !== key)
    throw damaged(file, `record ${key} holds another resource`)
  freezeInPlace(object)
  return object
}

/** Undefined: there is none yet. */
export function readFormat(dir: string): number | undefined {
  const file = join(dir, formatFile)
  if (!existsSync(file)) return undefined
  const text = readFileSync(file, 'utf8')
  const number = /^millwright data format ([0-9]{1,9})\n$/.exec(text)?.[1]
  if (number === undefined) throw damaged(file, 'it should say "millwright data format N"')
  return Number(number)
}

export function writeFormat(dir: string): void {
  const draft = join(dir, `${formatFile}.draft`)
  const handle = openSync(draft, 'w')
  try {
    writeSync(handle, `millwright data format ${formatNow}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(draft, join(dir, formatFile))
  syncFolder(dir)
}

/** Makes renames and new files in `dir` durable. */
export function syncFolder(dir: string): void {
  const handle = openSync(dir, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

export function syncFile(file: string): void {
  const handle = openSync(file, 'r+')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
