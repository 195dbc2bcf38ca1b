import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { silentLog } from '../base/log.ts'
import { seededRandom } from '../base/random.ts'
import { storeContract } from './contract-suite.ts'
import { createLmdbStore } from './lmdb/store.ts'

const root = mkdtempSync(join(tmpdir(), 'millwright-store-'))
let count = 0
afterAll(() => rmSync(root, { recursive: true, force: true }))

storeContract('on LMDB', async (options) =>
  createLmdbStore({ ...options, dir: join(root, String(count++)), random: seededRandom(1), log: silentLog }),
)
