import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { factoryIn, until } from './factory.fixture.ts'

const dir = mkdtempSync(join(tmpdir(), 'millwright-straggler-'))
const factory = factoryIn(dir, { flags: ['--nodes', '3', '--slots', '1'] })
afterAll(async () => {
  await factory.stop('SIGINT')
  rmSync(dir, { recursive: true, force: true })
})

/** Works for 100 ms in twenty pieces, waits for all others, and tells how much of that was its own; saves when asked. */
const worker = `
import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
const { RANK, WORLD_SIZE, MASTER_PORT, MILLWRIGHT_PROGRESS, MILLWRIGHT_CONTROL, MILLWRIGHT_CHECKPOINT_DIR: saved } = process.env
const pause = (ms) => new Promise((done) => setTimeout(done, ms))
const read = (path) => { try { return readFileSync(path, 'utf8') } catch { return '' } }
const at = (rank) => process.argv[2] + '/at-' + MASTER_PORT + '-' + rank
const tell = (line) => appendFileSync(MILLWRIGHT_PROGRESS, JSON.stringify(line) + '\\n')
let step = Math.max(0, ...readdirSync(saved).map((name) => Number(name.slice(5)) || 0))
let kept = step
for (;;) {
  const began = performance.now()
  for (let piece = 0; piece < 20; piece++) await pause(5)
  const busySeconds = (performance.now() - began) / 1000
  writeFileSync(at(RANK), String(++step))
  for (let rank = 0; rank < WORLD_SIZE; rank++) while (Number(read(at(rank))) < step) await pause(5)
  tell({ step, steps: 100000, seconds: (performance.now() - began) / 1000, busySeconds })
  const asked = JSON.parse(read(MILLWRIGHT_CONTROL) || '{}')
  const [checkpoint, stop] = [asked.checkpoint?.step ?? 0, asked.stop?.step ?? 0]
  const stops = stop > 0 && step >= stop
  if (RANK === '0' && (stops || (checkpoint > kept && step >= checkpoint))) {
    kept = step
    mkdirSync(saved + '/half')
    writeFileSync(saved + '/half/weights', String(step))
    renameSync(saved + '/half', saved + '/step-' + step)
  }
  if (stops) { tell({ stopped: step }); break }
}
`

const get = (kind: string, name: string) =>
  JSON.parse(factory.millwright('get', kind, name, '-o', 'json').stdout || '{}')
const sits = (rank: number): string =>
  get('gang', 'pair').status?.seats?.members?.find((seat: { rank: number }) => seat.rank === rank)?.node ?? ''
const busySeconds = (rank: number): number =>
  get('report', `pod.pair-worker-${rank}-2`).status?.busySeconds ?? Number.NaN

it('a job leaves a node that really turns slow, with what it had saved, and the node says why it is closed', async () => {
  await factory.up()
  writeFileSync(join(dir, 'worker.mjs'), worker)
  writeFileSync(
    join(dir, 'job.yaml'),
    `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: {name: pair}
spec:
  workers: 2
  command: ["${process.execPath}", "${join(dir, 'worker.mjs')}", "${dir}"]
  resources: {accelerators: cpu:1}
  checkpoint: {interval: 5s}
---
apiVersion: millwright.dev/v1alpha1
kind: Drill
metadata: {name: slow}
spec:
  fault: {kind: straggler, slowness: 4, lasts: 10m}
  target: {job: pair, rank: 1}
  after: 12s
`,
  )
  expect(factory.millwright('apply', '-f', join(dir, 'job.yaml'))).toMatchObject({ status: 0, stderr: '' })
  await until(() => get('drill', 'slow').status?.struckAt !== undefined)
  const slow = sits(1)
  await until(() => get('node', slow).spec.unschedulable === true, 120_000)
  expect(factory.millwright('status').stdout).toMatch(
    new RegExp(`node/${slow} was closed by recovery: slow: rank 1 of pair works at \\d+ % of the usual speed there`),
  )
  await until(() => (get('job', 'pair').status?.attempt ?? 0) === 2 && factory.phase('pair') === 'Running')
  expect(sits(1)).not.toBe(slow)
  const { restarts, checkpoint } = get('job', 'pair').status
  expect(restarts).toBe(0)
  await until(() => (get('job', 'pair').status?.step ?? 0) > checkpoint.step)
  // Where it sits now it is as fast as the other.
  await until(() => busySeconds(1) < 2 * busySeconds(0))
  expect(factory.millwright('uncordon', slow).stdout).toBe(`node ${slow} takes work again\n`)
  expect(get('node', slow).spec.taints ?? []).toEqual([])
  expect(get('node', slow).metadata.annotations['millwright.dev/slow']).toBeUndefined()
}, 240_000)
