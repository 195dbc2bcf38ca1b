import { expect, test } from 'vitest'
import { nodeRates } from '../../model/reliability.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'
import { restartsApart } from './growth.ts'

/** Two members of two accelerators each, half an hour after they sat down; room for two more has been free for long. */
function small(): Story {
  const told = new Story(createScheduler())
  told.queue('default')
  for (const name of ['a', 'b']) told.node(name, 'H100:4')
  told.gang('holds', '1xH100:4', {}, { ports: 0 })
  told.decide()
  told.gang('e', '4xH100:2', {}, { ports: 0, min: 2 })
  told.decide()
  told.nowMs += 1_800_000
  told.change('holds', { suspend: true })
  const at = new Date(told.nowMs).toISOString()
  told.world.edit('default/e', {}, { checkpoint: { step: 1, attempt: 1, at, digest: 'd', bytes: 0, manifests: [] } })
  expect(told.decide()).toEqual(['holds gives its seats back'])
  return told
}

function later(told: Story): string[] {
  told.nowMs += 20_000
  return told.decide().map((line) => line.split(':')[0] ?? '')
}

function withHealth(told: Story, name: string, ill: readonly number[]): void {
  const node = told.world.nodes.get(name)
  if (node === undefined) throw new Error('no node')
  const devices = [0, 1, 2, 3].map((at) => ({ id: `H100-${at}`, model: 'H100', healthy: !ill.includes(at) }))
  const annotations = { ...node.metadata.annotations, 'millwright.dev/node-devices': JSON.stringify(devices) }
  told.world.put({ ...node, metadata: { ...node.metadata, annotations } })
}

test('it grows when room has been free for ten seconds', () => {
  const told = small()
  told.nowMs += 9000
  expect(told.decide()).toEqual([])
  told.nowMs += 1000
  expect(told.decide().map((line) => line.split(':')[0])).toEqual(['e#1 grows 2-4'])
})

test('it does not grow while it could not sit again where it sits', () => {
  const told = small()
  withHealth(told, 'b', [3])
  expect(later(told)).toEqual([])
  withHealth(told, 'b', [])
  expect(later(told)).toEqual([])
  expect(later(told)).toEqual(['e#1 grows 2-4'])
})

test('with an end in sight it grows where the new members have enough to do until then', () => {
  const told = small()
  told.change('e', { expectedSeconds: 5400 })
  told.nowMs += 20_000
  // 3580 s are left, and with twice the accelerators half of that.
  expect(told.decide()).toEqual([
    'e#1 grows 2-4: grows from 2 to 4 members; gains 7160 accelerator-seconds (4 idle × 1790 s); for 320 (4 × 20 s of work not saved, 8 × 30 s to start again); at least 2 times as much; it has sat for 1820 s, at least 10 restarts',
  ])
  const late = small()
  late.change('e', { expectedSeconds: 1900 })
  expect([...later(late), ...later(late)]).toEqual([])
  const short = small()
  short.change('e', { expectedSeconds: 1800 + 20 + 319 })
  expect(later(short), 'twice 320 is more than 4 × 159.5').toEqual([])
  const enough = small()
  enough.change('e', { expectedSeconds: 1800 + 20 + 320 })
  expect(later(enough)).toEqual(['e#1 grows 2-4'])
})

test('whoever waits in a queue that is stopped could not use the room', () => {
  const told = small()
  told.queue('shut', { stopPolicy: 'Hold' })
  told.gang('other', '3xH100:2', { queue: 'shut' }, { ports: 0 })
  expect(later(told)).toEqual(['other waits', 'e#1 grows 2-4'])
})

test('it does not grow while it is suspended, asked to leave, or gone', () => {
  const off = small()
  off.change('e', { suspend: true })
  expect(later(off)).toEqual(['e gives its seats back'])
  const gone = small()
  gone.apply({ kind: 'Gang', deleted: 'default/e' })
  expect(later(gone)).toEqual([])
  const asked = small()
  const eviction = { attempt: 1, by: 'default/x', reason: 'InQueue' as const, message: '', at: '2026-01-01T00:00:00Z' }
  asked.world.edit('default/e', {}, { eviction })
  expect(later(asked)).toEqual([])
})

test('it is given only what it still may have when its turn comes', () => {
  const told = small()
  told.gang('other', '1xH100:2', {}, { ports: 0 })
  expect(later(told)).toEqual(['other#1 sits 0@a/H100-0+H100-1', 'e#1 grows 2-3'])
})

test('somebody in line who could use the room keeps it from growing, until he has gone', () => {
  const told = small()
  told.gang('wide', '3xH100:4', { priority: -1 }, { ports: 0 })
  expect(later(told), 'there are not so many').toEqual(['wide waits', 'e#1 grows 2-4'])
  const late = small()
  late.gang('wide', '2xH100:4', { priority: -1 }, { ports: 0 })
  expect(later(late), 'room had been found before he came').toEqual(['wide waits'])
  const enough = small()
  enough.node('c', 'H100:4')
  enough.gang('wide', '3xH100:4', { priority: -1 }, { ports: 0 })
  expect(later(enough)).toEqual(['wide waits'])
  expect(later(enough)).toEqual([])
  enough.change('wide', { suspend: true })
  expect(later(enough)).toEqual([])
  expect(later(enough)).toEqual(['e#1 grows 2-4'])
})

test('a repair is expected so late that to go on smaller until then costs less than to wait, as docs/recovery.md has it', () => {
  const soonest = nodeRates({ nodeSeconds: 0, failures: 0, outSeconds: 0, repairs: 1e9 }).repairSeconds
  expect([soonest, nodeRates().repairSeconds]).toEqual([2.4 * 3600, 24 * 3600])
  // Of so many nodes one is lost: nodes × repair against until it grows again, for that one, and a second start of all.
  const paysWithin = (nodes: number, start: number) => start * (1 + restartsApart / nodes)
  expect([paysWithin(2, 60), paysWithin(16, 60), paysWithin(16, 1980)]).toEqual([360, 97.5, 3217.5])
  for (const [nodes, start] of [
    [2, 24 * 60],
    [16, 1.47 * 3600],
  ] as const) {
    expect(paysWithin(nodes, start)).toBeLessThanOrEqual(soonest)
    expect(paysWithin(nodes, 1.02 * start)).toBeGreaterThan(soonest)
  }
})
