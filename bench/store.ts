import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { silentLog } from '../src/base/log.ts'
import { seededRandom } from '../src/base/random.ts'
import type { Pod } from '../src/model/kinds/kubernetes.ts'
import { realClock } from '../src/runtime/clock.ts'
import type { Store } from '../src/store/contract.ts'
import { runCrashHarness } from '../src/store/lmdb/crash/harness.ts'
import { createLmdbStore } from '../src/store/lmdb/store.ts'
import { createMemoryStore } from '../src/store/memory/store.ts'
import type { Row } from './row.ts'

const writers = 64
const commitsPerRound = 12_800
const rounds = 15
const warmUpRounds = 3
const watchers = 100
const events = 10_000

export async function rows(): Promise<Row[]> {
  return [...(await durableCommits()), ...(await watchFanOut())]
}

/** `npm run bench -- crash --kills N`: the long form of the crash test. */
export async function crashRows(kills: number, seed = Date.now() % 1_000_000): Promise<Row[]> {
  const result = await runCrashHarness({
    kills,
    seed,
    progress: (done) => console.error(`${done} kills, no loss so far`),
  })
  for (const problem of result.problems) console.error(problem)
  return [
    {
      row: `store: kills (seed ${seed})`,
      value: result.kills,
      unit: 'kills',
      bar: `>= ${kills}`,
      ok: result.kills >= kills,
    },
    {
      row: 'store: acknowledged writes lost, halved or gone back',
      value: result.problems.length,
      unit: 'problems',
      bar: '0',
      ok: result.problems.length === 0,
      peer: `${result.acknowledged} acknowledged`,
    },
  ]
}

/** The store and bare LMDB take turns; the medians count. */
async function durableCommits(): Promise<Row[]> {
  const root = mkdtempSync(join(tmpdir(), 'millwright-bench-'))
  try {
    const ours: number[] = []
    const raw: number[] = []
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      const { perSecond, batches } = await storeRound(join(root, `store-${round}`))
      const rawPerSecond = await rawRound(join(root, `raw-${round}`), batches)
      if (round < warmUpRounds) continue
      ours.push(perSecond)
      raw.push(rawPerSecond)
    }
    const value = median(ours)
    const peer = median(raw)
    const share = Math.round((100 * value) / peer)
    return [
      {
        row: `store: durable commits with ${writers} writers`,
        value: Math.round(value),
        unit: 'commits/s',
        bar: '>= 60 % of bare LMDB',
        ok: share >= 60,
        peer: `bare LMDB, same records, bytes and transactions: ${Math.round(peer)} commits/s (${share} %)`,
      },
    ]
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** What each transaction held, so that the peer writes the same. */
type Batches = { key: string; value: Buffer }[][]

async function storeRound(dir: string): Promise<{ perSecond: number; batches: Batches }> {
  const sizes: number[] = []
  const store = await createLmdbStore({
    dir,
    clock: realClock,
    random: seededRandom(1),
    log: silentLog,
    onPoint: (point) => {
      if (point === 'after-visible') sizes.push(done)
    },
  })
  let done = 0
  let next = 0
  const startMs = performance.now()
  await Promise.all(
    Array.from({ length: writers }, async () => {
      while (next < commitsPerRound) {
        await store.create('Pod', podNumber(next++))
        done++
      }
    }),
  )
  const perSecond = commitsPerRound / ((performance.now() - startMs) / 1000)
  const { items } = await store.list('Pod')
  await store.close()
  const byRevision = [...items].sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
  const records = byRevision.map((pod) => {
    const text = JSON.stringify(pod)
    return { key: `r/Pod/default/${pod.metadata.name}`, value: Buffer.from(`00000000 ${text}`) }
  })
  // A commit's acknowledgements come after the point, so each size is the count of all earlier ones.
  const ends = [...sizes.slice(1), commitsPerRound]
  return { perSecond, batches: ends.map((end, i) => records.slice(sizes[i] ?? 0, end)) }
}

async function rawRound(dir: string, batches: Batches): Promise<number> {
  const database = open<Buffer, string>({ path: join(dir, 'raw.mdb'), encoding: 'binary', overlappingSync: false })
  const startMs = performance.now()
  let written = 0
  for (const batch of batches) {
    written += batch.length
    await database.batch(() => {
      for (const { key, value } of batch) void database.put(key, value)
      void database.put('m/revision', Buffer.from(`00000000 ${written}`))
    })
  }
  const perSecond = written / ((performance.now() - startMs) / 1000)
  await database.close()
  return perSecond
}

/** 100 watchers see the events as they come; another 100 catch up afterwards, which is pure delivery, and timed. */
async function watchFanOut(): Promise<Row[]> {
  const store = createMemoryStore({ clock: realClock, random: seededRandom(1), history: 2 * events })
  const { resourceVersion } = await store.list('Pod')
  const live = watchMany(store, resourceVersion)
  for (let i = 0; i < events; i++) await store.create('Pod', podNumber(i))
  await new Promise((resolve) => setImmediate(resolve))
  const late = watchMany(store, resourceVersion)
  const startCpu = process.cpuUsage()
  await new Promise((resolve) => setImmediate(resolve))
  const cpu = process.cpuUsage(startCpu)
  await store.close()
  const all = [...live, ...late]
  const lost = all.reduce((sum, watcher) => sum + events - watcher.count, 0)
  const outOfOrder = all.reduce((sum, watcher) => sum + watcher.outOfOrder, 0)
  const name = `watch: ${watchers} watchers x ${events} events`
  return [
    { row: `${name}, lost`, value: lost, unit: 'events', bar: '0', ok: lost === 0 },
    { row: `${name}, out of order`, value: outOfOrder, unit: 'events', bar: '0', ok: outOfOrder === 0 },
    {
      row: `${name}, CPU per delivery`,
      value: Math.round(((cpu.user + cpu.system) * 1000) / (watchers * events)),
      unit: 'ns',
      bar: 'printed',
      ok: true,
    },
  ]
}

function watchMany(store: Store, from: string) {
  return Array.from({ length: watchers }, () => {
    const watcher = { count: 0, last: 0, outOfOrder: 0 }
    store.watch(
      'Pod',
      { from },
      {
        event: ({ object }) => {
          const revision = Number(object.metadata.resourceVersion)
          if (revision <= watcher.last) watcher.outOfOrder++
          watcher.last = revision
          watcher.count++
        },
        ended() {},
      },
    )
    return watcher
  })
}

/** About 800 bytes, as a pod of a training job is. */
function podNumber(i: number): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `job-${i}-worker-0-1`,
      namespace: 'default',
      labels: { 'millwright.dev/job': `job-${i}`, 'millwright.dev/gang': `job-${i}`, 'millwright.dev/attempt': '1' },
    },
    spec: {
      schedulerName: 'millwright',
      restartPolicy: 'Never',
      containers: [
        {
          name: 'main',
          image: 'registry.example.com/team/trainer:2026-01',
          command: ['python', '-m', 'trainer', '--config', '/etc/trainer/config.yaml'],
          env: [
            { name: 'MASTER_ADDR', value: '127.0.0.1' },
            { name: 'WORLD_SIZE', value: '8' },
          ],
          resources: { limits: { 'millwright.dev/cpu': '1', memory: '4Gi' } },
        },
      ],
    },
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}
