import { expect, test } from 'vitest'
import { seededRandom } from '../../base/random.ts'
import { drawHistory } from './draw-history.ts'
import type { History } from './history.ts'
import { shrink } from './shrink.ts'

/** Draws until one is as large as it takes. */
function large(): History {
  for (let seed = 1; ; seed++) {
    const history = drawHistory(seededRandom(seed))
    const { nodes, arrivals, faults, queues, standbys, delay } = history
    if (
      nodes.length > 3 &&
      arrivals.length > 4 &&
      faults.length > 10 &&
      queues.length > 0 &&
      standbys > 0 &&
      delay.chance > 0
    )
      return history
  }
}

/** Has room on any node. */
const small = { workers: 1, minWorkers: 1, resources: { accelerators: 'cpu:1' } }

/** Breaks where this work meets these two faults on that node, with a standby. */
function breaksLike({ arrivals, faults, nodes }: History): (history: History) => Promise<boolean> {
  const [first, second, work, node] = [faults[2], faults[7], arrivals[3], nodes[1]]
  return async (history) =>
    history.faults.some((one) => one === first) &&
    history.faults.some((one) => one === second) &&
    history.arrivals.some(({ object }) => object.metadata.name === work?.object.metadata.name) &&
    history.nodes.some((one) => one.name === node?.name) &&
    history.standbys > 0
}

test('what a rule breaks without is left out, and nothing else', async () => {
  const history = large()
  // Faults of nodes that go would go with them.
  const faults = history.faults.map((fault) =>
    'node' in fault ? { ...fault, node: history.nodes[1]?.name ?? '' } : fault,
  )
  const arrivals = history.arrivals.map((one) =>
    one.kind === 'TrainingJob' ? { ...one, object: { ...one.object, spec: { ...one.object.spec, ...small } } } : one,
  )
  const whole = { ...history, faults, arrivals }
  const { history: found, isMinimal } = await shrink(whole, { breaks: breaksLike(whole), goesOn: () => true })
  expect(isMinimal).toBe(true)
  expect(found.faults).toEqual([faults[2], faults[7]])
  expect(found.arrivals.map(({ object }) => object.metadata.name)).toEqual([whole.arrivals[3]?.object.metadata.name])
  expect(found.arrivals.map(({ object }) => object.spec.queue)).toEqual(['default'])
  expect(found).toMatchObject({ nodes: [whole.nodes[1]], queues: [], standbys: 1, delay: { chance: 0 } })
})

test('no node goes without which a job would not fit', async () => {
  const history = large()
  const found = await shrink(history, { breaks: async () => true, goesOn: () => true })
  expect(found.history.nodes.length).toBe(1)
  const [job] = history.arrivals.filter(({ kind }) => kind === 'TrainingJob')
  const workers = history.nodes.reduce((sum, { slots }) => sum + slots, 0)
  const spec = { ...job?.object.spec, workers, minWorkers: workers, resources: undefined }
  const arrivals = [{ ...job, object: { ...job?.object, spec } }] as History['arrivals']
  const breaks = async (one: History) => one.arrivals.length > 0
  const whole = await shrink({ ...history, arrivals }, { breaks, goesOn: () => true })
  expect(whole.history.nodes).toEqual(history.nodes)
})

test('when its time is over, what it has by then still breaks the rule', async () => {
  const history = large()
  const breaks = breaksLike(history)
  for (const playsMax of [0, 1, 5, 12]) {
    let left = playsMax
    const { history: found, plays, isMinimal } = await shrink(history, { breaks, goesOn: () => left-- > 0 })
    expect({ plays, isMinimal }).toEqual({ plays: playsMax, isMinimal: false })
    expect(await breaks(found)).toBe(true)
  }
})
