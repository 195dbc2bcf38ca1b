import { expect, test } from 'vitest'
import { seededRandom } from '../../base/random.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { TwinEvent } from '../events.ts'
import { drawHistory } from './draw-history.ts'
import { play } from './play.ts'

const seeds = Array.from({ length: 200 }, (_, seed) => seed)
const isOnGpus = (seed: number) => drawHistory(seededRandom(seed)).nodes.some(({ gpus }) => gpus.length > 0)

test('in some histories all work is on GPUs, of which some are lost', () => {
  const onGpus = seeds.filter(isOnGpus)
  expect(onGpus.length).toBeGreaterThan(10)
  expect(onGpus.length).toBeLessThan(60)
  for (const seed of seeds) {
    const { nodes, queues, arrivals, faults } = drawHistory(seededRandom(seed))
    const has = onGpus.includes(seed)
    expect(faults.some(({ kind }) => kind === 'gpu-loss')).toBe(has)
    if (has) expect(JSON.stringify([queues, arrivals])).not.toMatch(/"cpu"|cpu:/)
    expect(nodes.every(({ slots, gpus }) => (has ? slots === 0 && gpus.length > 0 : gpus.length === 0))).toBe(true)
  }
})

test('a GPU that is lost is missed by its node, which is closed for that and opens again', async () => {
  const seed = seeds.find(isOnGpus) ?? 0
  const drawn = drawHistory(seededRandom(seed))
  const [node] = drawn.nodes
  if (node === undefined) throw new Error('no node')
  const fault = { kind: 'gpu-loss', atMs: 30_000, forMs: 200_000, node: node.name, pick: 0, toldAfterMs: 0 } as const
  const seen: string[] = []
  const hear = (event: TwinEvent) => {
    if (event.kind !== 'write' || event.entry.kind !== 'Node') return
    const { metadata, spec, status } = event.entry.object as Node
    if (metadata.name !== node.name || status?.allocatable === undefined) return
    const now = `${status.allocatable['nvidia.com/gpu']} ${spec?.unschedulable === true ? 'closed' : 'open'}`
    if (now !== seen.at(-1)) seen.push(now)
  }
  const history = { ...drawn, faults: [fault], safetyMs: 400_000 }
  const played = await play(seed, { history, events: { hear } })
  expect(played.violations).toEqual([])
  const all = node.gpus.length
  expect(seen).toEqual([`${all} open`, `${all - 1} open`, `${all - 1} closed`, `${all} closed`, `${all} open`])
})
