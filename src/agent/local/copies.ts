import { existsSync, readdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Blobs } from '../../blob/contract.ts'
import { createFileBlobs } from '../../blob/file/blobs.ts'
import type { Copies } from '../contract.ts'
import { contentGraceMs } from '../copies.ts'

/**
 * The copies that the logical nodes of this machine keep: a folder for each, which this process alone reads and writes. It is
 * memory where a memory file system is mounted at `dir`. Nodes that are not of this machine cannot be reached.
 */
export interface LocalCopies extends Copies {
  /** The node is gone with all that it kept, until it is back. */
  lose(node: string): Promise<void>
  restore(node: string): void
}

/** `nodes`: all that this machine presents itself as now. What others kept here before them is deleted. */
export function localCopies({ dir, nodes }: { dir: string; nodes: readonly string[] }): LocalCopies {
  const folderOf = (node: string): string => join(dir, node)
  if (existsSync(dir))
    for (const name of readdirSync(dir))
      if (!nodes.includes(name)) rmSync(join(dir, name), { recursive: true, force: true, maxRetries: 3 })
  const open = new Map<string, Blobs>()
  const lost = new Set<string>()
  return {
    of(node) {
      if (!nodes.includes(node) || lost.has(node)) return undefined
      const known = open.get(node) ?? createFileBlobs({ dir: folderOf(node), contentGraceMs, isCache: true })
      open.set(node, known)
      return known
    },
    isEmpty: (node) => !open.has(node) && !existsSync(folderOf(node)),
    async lose(node) {
      lost.add(node)
      open.delete(node)
      await rm(folderOf(node), { recursive: true, force: true, maxRetries: 5 })
    },
    restore: (node) => void lost.delete(node),
  }
}
