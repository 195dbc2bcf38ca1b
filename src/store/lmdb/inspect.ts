import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/**
 * Reads an LMDB file without LMDB, which maps it and trusts it: a page that is cut off or overwritten would end the
 * process instead of an error. Walks both trees (records, free pages) of the newest meta page and checks what LMDB will
 * follow. The layout is that of lmdb-js 3.5 (data version 2, 64-bit little-endian).
 */
export type Inspection = { sound: true } | { sound: false; why: string; isBlank: boolean }

const headerBytes = 24
const magic = 0xbeefc0de
const dataVersion = 2
const nowhere = 0xffff_ffff_ffff_ffffn
const branchFlag = 0x01
const leafFlag = 0x02
const overflowFlag = 0x04
const bigDataFlag = 0x01

export function inspectFile(file: string): Inspection {
  const handle = openSync(file, 'r')
  try {
    const size = fstatSync(handle).size
    if (size === 0) return { sound: false, why: 'it is empty', isBlank: true }
    const why = new Walk(handle, size).problem()
    return why === undefined ? { sound: true } : { sound: false, why, isBlank: false }
  } catch (error) {
    if (error instanceof Damage) return { sound: false, why: error.message, isBlank: false }
    throw error
  } finally {
    closeSync(handle)
  }
}

class Damage extends Error {}

interface Tree {
  depth: number
  pages: number
  entries: bigint
  root: bigint
}

interface Meta {
  pageBytes: number
  txnId: bigint
  lastPage: bigint
  trees: { name: string; tree: Tree }[]
}

class Walk {
  private readonly handle: number
  private readonly size: number
  private readonly seen = new Set<bigint>()
  private entries = 0n
  private pages = 0
  private pageBytes = 0
  private lastPage = 0n

  constructor(handle: number, size: number) {
    this.handle = handle
    this.size = size
  }

  problem(): string | undefined {
    const meta = this.newestMeta()
    if (meta === undefined) return 'it does not start as such a file does'
    this.pageBytes = meta.pageBytes
    this.lastPage = meta.lastPage
    for (const { tree } of meta.trees) this.tree(tree)
    return undefined
  }

  private newestMeta(): Meta | undefined {
    const first = this.meta(0)
    const sizes = first === undefined ? [4096, 8192, 16_384, 32_768, 65_536] : [first.pageBytes]
    const second = sizes.map((bytes) => this.meta(bytes)).find((meta) => meta !== undefined)
    if (first === undefined || second === undefined) return undefined // LMDB writes both when it makes a file
    return first.txnId >= second.txnId ? first : second
  }

  private meta(at: number): Meta | undefined {
    if (at + 512 > this.size) return undefined
    const bytes = this.read(at, 512)
    if (bytes.readUInt32LE(24) !== magic || bytes.readUInt32LE(28) !== dataVersion) return undefined
    const pageBytes = bytes.readUInt32LE(48)
    if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) return undefined
    return {
      pageBytes,
      lastPage: bytes.readBigUInt64LE(144),
      txnId: bytes.readBigUInt64LE(152),
      trees: [
        { name: 'free pages', tree: treeAt(bytes, 48) },
        { name: 'records', tree: treeAt(bytes, 96) },
      ],
    }
  }

  private tree(tree: Tree): void {
    if (tree.root === nowhere) return
    this.entries = 0n
    this.pages = 0
    this.page(tree.root, tree.depth)
    if (this.entries !== tree.entries)
      throw new Damage(`it should hold ${tree.entries} records and holds ${this.entries}`)
    if (this.pages !== tree.pages) throw new Damage(`it should have ${tree.pages} pages and has ${this.pages}`)
  }

  private page(number: bigint, levels: number): void {
    if (this.seen.has(number)) throw new Damage(`page ${number} is used twice`)
    this.seen.add(number)
    this.pages++
    const page = this.read(this.offset(number), this.pageBytes)
    const flags = page.readUInt16LE(18)
    const isLeaf = (flags & leafFlag) !== 0
    if (page.readBigUInt64LE(0) !== number) throw new Damage(`page ${number} holds something else`)
    if (isLeaf === ((flags & branchFlag) !== 0)) throw new Damage(`page ${number} is of no known kind`)
    if (isLeaf !== (levels === 1)) throw new Damage(`page ${number} is at the wrong depth`)
    const lower = page.readUInt16LE(20)
    const upper = page.readUInt16LE(22)
    const room = this.pageBytes - headerBytes
    if (lower > upper || upper > room || lower % 2 !== 0) throw new Damage(`page ${number} is inconsistent`)
    for (let i = 0; i < lower / 2; i++) this.node(page, number, page.readUInt16LE(headerBytes + 2 * i), upper, levels)
  }

  private node(page: Buffer, number: bigint, at: number, upper: number, levels: number): void {
    const start = at + headerBytes
    if (at < upper || start + 8 > this.pageBytes) throw new Damage(`page ${number} is inconsistent`)
    const low = page.readUInt16LE(start)
    const high = page.readUInt16LE(start + 2)
    const flags = page.readUInt16LE(start + 4)
    const data = start + 8 + page.readUInt16LE(start + 6)
    if (data > this.pageBytes) throw new Damage(`page ${number} is inconsistent`)
    if (levels > 1) {
      this.page(BigInt(low) | (BigInt(high) << 16n) | (BigInt(flags) << 32n), levels - 1)
      return
    }
    this.entries++
    const size = low + high * 65_536
    if ((flags & bigDataFlag) === 0) {
      if (flags !== 0 || data + size > this.pageBytes) throw new Damage(`page ${number} is inconsistent`)
      return
    }
    if (data + 24 > this.pageBytes) throw new Damage(`page ${number} is inconsistent`)
    this.overflow(page.readBigUInt64LE(data), size)
  }

  private overflow(number: bigint, size: number): void {
    const count = Math.floor((headerBytes - 1 + size) / this.pageBytes) + 1
    const start = this.offset(number, count)
    const header = this.read(start, headerBytes)
    if (header.readBigUInt64LE(0) !== number || (header.readUInt16LE(18) & overflowFlag) === 0) {
      throw new Damage(`page ${number} holds something else`)
    }
    for (let i = 0n; i < BigInt(count); i++) {
      if (this.seen.has(number + i)) throw new Damage(`page ${number + i} is used twice`)
      this.seen.add(number + i)
    }
    this.pages += count
  }

  private offset(number: bigint, count = 1): number {
    const end = number + BigInt(count)
    if (number < 2n || end - 1n > this.lastPage) throw new Damage(`page ${number} lies outside`)
    if (end * BigInt(this.pageBytes) > BigInt(this.size)) throw new Damage(`it is cut off before page ${number}`)
    return Number(number) * this.pageBytes
  }

  private read(at: number, length: number): Buffer {
    const bytes = Buffer.alloc(length)
    if (readSync(this.handle, bytes, 0, length, at) !== length) throw new Damage('it is cut off')
    return bytes
  }
}

function treeAt(bytes: Buffer, at: number): Tree {
  const pages = bytes.readBigUInt64LE(at + 8) + bytes.readBigUInt64LE(at + 16) + bytes.readBigUInt64LE(at + 24)
  return {
    depth: bytes.readUInt16LE(at + 6),
    pages: Number(pages),
    entries: bytes.readBigUInt64LE(at + 32),
    root: bytes.readBigUInt64LE(at + 40),
  }
}
