import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { unscrambled } from '../../src/base/random.fixture.ts'
import { seededRandom } from '../../src/base/random.ts'
import { typicalOf } from '../../src/scheduler/packing/typical.ts'
import type { Row } from '../row.ts'
import { type PolicyName, policyNames } from './fidelity/policies.ts'
import { publishedOf } from './fidelity/published.ts'
import { podClasses, type Replay, replay } from './fidelity/replay.ts'
import { arrivalsOf, type ListName, listNames, readNodes, readPods } from './lists.ts'

const seedsUnlessSaid = 20
/** Of unallocated GPUs, in points of per cent: as near as the published figures must be met, seeds' noise apart. */
const nearEnough = 0.3

/**
 * The six policies of FGD (USENIX ATC '23) on its five lists, against the figures that its authors published: whoever
 * meets them measures the product by the same yardstick. `--seeds=N` runs fewer seeds, or more.
 */
export async function rows(): Promise<Row[]> {
  const traces = process.env['MILLWRIGHT_TRACES'] ?? join('..', 'shared', 'traces')
  const missing = ['openb', 'fgd-expected'].filter((folder) => !existsSync(join(traces, folder)))
  if (missing.length > 0) {
    console.error(`bench: no ${missing.join(', no ')} in ${traces}; none of FGD's policies is run`)
    return []
  }
  const seeds = seedsFrom(process.argv)
  const published = publishedOf(traces)
  return listNames.flatMap((list) => {
    const replayed = replayerOf(traces, list, seeds)
    const fgd = replayed('06-FGD')
    return [
      ...policyNames.map((name) => met(list, name, name === '06-FGD' ? fgd : replayed(name), published(list, name))),
      ...rejections(list, fgd),
    ]
  })
}

/** All policies see the same arrivals, on nodes of the same ranks. */
export function replayerOf(traces: string, list: ListName, seeds: number): (policy: PolicyName) => Replay[] {
  const [nodes, pods] = [readNodes(traces), readPods(traces, list)]
  const gpus = nodes.reduce((sum, node) => sum + node.gpus, 0)
  const typical = typicalOf(pods.map((pod) => [pod, 1] as const))
  const drawn = Array.from({ length: seeds }, (_, seed) => {
    const random = seededRandom(unscrambled(seed)) // the arrivals that were published
    return { random, arrivals: arrivalsOf(pods, gpus, 1.3, random.split('arrivals')) }
  })
  return (policy) => drawn.map(({ random, arrivals }) => replay(policy, nodes, arrivals, typical, random))
}

function met(list: ListName, policy: PolicyName, runs: readonly Replay[], published: readonly number[]): Row {
  const [here, there] = [spread(runs.map(({ unallocated }) => unallocated)), spread(published)]
  const error = Math.sqrt(here.deviation ** 2 / runs.length + there.deviation ** 2 / published.length)
  const within = Math.max(nearEnough, 3 * error)
  const off = here.mean - there.mean
  return {
    row: `${policy.slice(3)}, ${list}: GPUs unallocated, ${runs.length} seeds`,
    value: here.mean,
    unit: '%',
    bar: `${there.mean.toFixed(2)} +- ${within.toFixed(2)} %`,
    ok: Math.abs(off) <= within,
    peer: `published ${shown(there)}, here ${shown(here)}, ${off < 0 ? '' : '+'}${off.toFixed(2)}`,
  }
}

/** What our own policy is judged against: figures of FGD that its authors did not publish, so no bar. */
function rejections(list: ListName, runs: readonly Replay[]): Row[] {
  return podClasses.map((of) => {
    const { mean, deviation } = spread(runs.map(({ rejected }) => rejected[of]))
    const arrived = spread(runs.map((run) => run.arrived[of])).mean
    return {
      row: `FGD: ${of} pods rejected, ${list}`,
      value: mean,
      unit: 'pods',
      bar: 'none',
      ok: true,
      peer: `sd ${deviation.toFixed(1)}, of ${arrived.toFixed(0)} that came`,
    }
  })
}

export function spread(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, one) => sum + one, 0) / values.length
  const squares = values.reduce((sum, one) => sum + (one - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / Math.max(1, values.length - 1)) }
}

function shown({ mean, deviation }: ReturnType<typeof spread>): string {
  return `${mean.toFixed(2)} (sd ${deviation.toFixed(2)})`
}

function seedsFrom(words: readonly string[]): number {
  const said = words.find((word) => word.startsWith('--seeds='))?.slice('--seeds='.length)
  const seeds = said === undefined ? seedsUnlessSaid : Number(said)
  if (!Number.isInteger(seeds) || seeds < 1) throw new Error(`--seeds=${said}: a whole number from 1 is wanted`)
  return seeds
}
