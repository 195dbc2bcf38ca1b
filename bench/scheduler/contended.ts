import { seededRandom } from '../../src/base/random.ts'
import type { Verdict } from '../../src/scheduler/contract.ts'
import type { Row } from '../row.ts'
import { World } from './fleet.ts'

const fleet = 10_000
const gpus = 8 * fleet

/** Decisions on a fleet that is full: who has to leave, and why others wait. */
export function contendedRows(): Row[] {
  return [...reclaim(), burst(), ...explained()]
}

/** Full of what `borrower` holds: 8-GPU jobs on one half of the nodes, 1-GPU jobs on the other. `lender` wants its half back. */
function borrowed(): World {
  const world = new World(fleet)
  world.queue('all', {})
  world.queue('lender', { parent: 'all', nominalQuota: { H100: gpus / 2 } })
  world.queue('borrower', { parent: 'all', nominalQuota: { H100: gpus / 2 } })
  for (let index = 0; index < fleet / 2; index++)
    world.ask(`large-${index}`, { members: 1, count: 8, cpuMilli: 64_000, queue: 'borrower' })
  for (let index = 0; index < gpus / 2; index++)
    world.ask(`small-${index}`, { members: 1, count: 1, cpuMilli: 8_000, queue: 'borrower' })
  return world
}

function reclaim(): Row[] {
  const world = borrowed()
  const one = { members: 1, count: 1, cpuMilli: 8_000, queue: 'lender' }
  const took: number[] = []
  let isRight = true
  globalThis.gc?.()
  for (let index = 0; index < 220; index++) {
    const { ms, verdict } = world.ask(`one-${index}`, one)
    isRight &&= victimsOf(verdict) === 1
    if (index >= 20) took.push(ms)
  }
  took.sort((a, b) => a - b)
  const p99 = took[Math.floor(took.length * 0.99)] ?? 0
  const gang = world.ask('gang', { members: 250, count: 8, cpuMilli: 64_000, queue: 'lender' })
  const near = world.ask('near', {
    members: 88,
    count: 8,
    cpuMilli: 64_000,
    queue: 'lender',
    topology: { required: 'block', preferred: 'rack' },
  })
  return [
    row(`reclaim on ${gpus} full GPUs: one GPU, p99 of 200`, p99, 5, isRight),
    row('... a gang of 2,000 GPUs', gang.ms, 200, victimsOf(gang.verdict) > 0, `${victimsOf(gang.verdict)} victims`),
    row('... 704 GPUs of one block', near.ms, 500, victimsOf(near.verdict) > 0, `${victimsOf(near.verdict)} victims`),
    row('... 700 victims with topology', ...manyVictims()),
  ]
}

/** Only 1-GPU jobs, so that each GPU has its own victim. */
function manyVictims(): [number, number, boolean, string] {
  const world = new World(fleet)
  for (let index = 0; index < gpus; index++) world.ask(`small-${index}`, { members: 1, count: 1, cpuMilli: 8_000 })
  const ask = {
    members: 88,
    count: 8,
    cpuMilli: 64_000,
    priority: 1,
    topology: { required: 'block', preferred: 'rack' },
  }
  const { ms, verdict } = world.ask('near', ask)
  return [ms, 500, victimsOf(verdict) === 704, `${victimsOf(verdict)} victims`]
}

/** Replicas of one service, all at once, on a fleet full of training. */
function burst(): Row {
  const world = new World(fleet)
  for (let index = 0; index < fleet; index++) world.ask(`train-${index}`, { members: 1, count: 8, cpuMilli: 64_000 })
  const replicas = 15_000
  for (let index = 0; index < replicas; index++) {
    const object = world.gang(`replica-${index}`, { members: 1, count: 1, cpuMilli: 8_000, priority: 100 })
    world.scheduler.apply({ kind: 'Gang', object })
  }
  const { ms, verdicts } = world.settle()
  const held = verdicts.filter((verdict) => verdict.kind === 'preempt' || verdict.kind === 'bind').length
  const victims = verdicts.reduce((sum, verdict) => sum + victimsOf(verdict), 0)
  return {
    row: `${replicas} serving replicas at once on ${gpus} GPUs full of training`,
    value: ms / 1000,
    unit: 's',
    bar: '<= 2 s',
    ok: ms <= 2_000 && held === replicas,
    peer: `${held} placed, ${victims} victims`,
  }
}

function explained(): Row[] {
  const world = new World(fleet)
  const random = seededRandom(4)
  for (let index = 0; index < fleet; index++)
    world.ask(`train-${index}`, { members: 1, count: 8, cpuMilli: 64_000, priority: random.int(0, 3) })
  const waiting = 1_000
  for (let index = 0; index < waiting; index++) {
    const members = random.int(2, 64)
    world.ask(`wait-${index}`, { members, count: random.int(1, 8), cpuMilli: 8_000, priority: 0 })
  }
  world.settle()
  const took: number[] = []
  let fixes = 0
  for (let index = 0; index < waiting; index += 20) {
    const startedAt = performance.now()
    fixes += world.scheduler.why(`default/wait-${index}`, 10_000).fixes.length
    took.push(performance.now() - startedAt)
  }
  took.sort((a, b) => a - b)
  const most = took.at(-1) ?? 0
  return [
    {
      row: `why, with tried edits, ${fleet} nodes and ${waiting} waiting gangs: the slowest of ${took.length}`,
      value: most,
      unit: 'ms',
      bar: '<= 50 ms',
      ok: most <= 50 && fixes > 0,
      peer: `median ${(took[took.length >> 1] ?? 0).toFixed(1)} ms, ${(fixes / took.length).toFixed(1)} fixes each`,
    },
  ]
}

function victimsOf(verdict: Verdict | undefined): number {
  return verdict?.kind === 'preempt' ? verdict.victims.length : 0
}

function row(name: string, ms: number, bar: number, isRight: boolean, peer?: string): Row {
  return {
    row: name,
    value: ms,
    unit: 'ms',
    bar: `<= ${bar} ms`,
    ok: ms <= bar && isRight,
    ...(peer === undefined ? {} : { peer }),
  }
}
