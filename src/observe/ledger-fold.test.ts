import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Node } from '../model/kinds/kubernetes.ts'
import { cpuSlot } from '../model/names.ts'
import { type Books, openBooks, startMs } from './ledger.fixture.ts'
import { LedgerFold } from './ledger-fold.ts'
import { summarise } from './ledger-summary.ts'

const second = 1000
const seats = [{ node: 'a', devices: ['cpu-0', 'cpu-1'] }]

/** A job of two slots on a node of four that has stepped for `ms`. */
function training(ms: number): Books {
  const books = openBooks()
  books.node('a', 4)
  books.gang('j', { seats })
  books.pod('j-worker-0-1')
  books.report('j-worker-0-1', { step: 1 })
  return books.after(ms)
}

test('what nobody uses is idle; it is fragmented while a gang that as much is free for cannot use it', () => {
  const books = openBooks()
  books.node('a', 4)
  books.node('b', 4)
  books.after(10 * second)
  expect(books.buckets()).toEqual({ idle: 80 * second })
  // Six on one node: eight are free, four on each.
  books.gang('w', { waits: true, asks: { count: 6 } })
  books.after(5 * second)
  expect(books.buckets()).toEqual({ idle: 80 * second, fragmented: 40 * second })
  // Another takes what was free: from now on it is slots that are short.
  books.gang('j', { seats: [{ node: 'a', devices: ['cpu-0', 'cpu-1', 'cpu-2'] }] })
  books.after(1 * second)
  expect(books.buckets()).toMatchObject({ idle: 85 * second, fragmented: 40 * second })
  books.drop('Gang', 'j')
  books.after(1 * second)
  expect(books.buckets()).toMatchObject({ fragmented: 48 * second })
  books.gang('w', { waits: true, asks: { count: 6 }, suspend: true })
  books.after(1 * second)
  expect(books.buckets()).toMatchObject({ idle: 93 * second, fragmented: 48 * second })
})

test('what was idle before somebody waited stays idle, on nodes too where nothing else happens', () => {
  const books = openBooks()
  books.node('a', 4)
  books.node('b', 4)
  books.nowMs += 3 * second // nobody asks for pages meanwhile
  books.gang('w', { waits: true, asks: { count: 6 } })
  books.nowMs += 2 * second
  books.gang('w')
  books.after(1 * second)
  expect(books.buckets()).toEqual({ idle: 32 * second, fragmented: 16 * second })
})

test.each([
  ['never fits', { waits: 'NeverFits', asks: { count: 6 } }],
  ['has no queue', { waits: 'QueueMissing' }],
  ['has its queue stopped', { waits: 'QueueStopped' }],
  ['is over its quota', { waits: 'OverQuota' }],
  ['waits for nodes', { waits: 'NodesUnavailable' }],
  ['is not the next', { waits: 'BehindOthers' }],
  ['asks for another model', { waits: true, asks: { model: 'H100' } }],
  ['asks for other nodes', { waits: true, asks: { nodeSelector: { rack: 'z' } } }],
  ['asks for more than is free in all', { waits: true, asks: { count: 3, min: 3 } }],
])('a gang that %s fragments nothing', (_, gang) => {
  const books = openBooks()
  books.node('a', 4)
  books.node('b', 4)
  books.gang('w', gang)
  books.after(1 * second)
  expect(books.buckets()).toEqual({ idle: 8 * second })
})

test('training is provisional, and productive with the next durable checkpoint, up to when that was written', () => {
  const books = training(10 * second)
  expect(books.buckets()).toEqual({ provisional: 20 * second, idle: 20 * second })
  const checkpoint = { step: 5, rank: 0, manifest: 'm', digest: 'd', bytes: 1, writtenAtMs: books.nowMs }
  books.after(3 * second)
  books.report('j-worker-0-1', { step: 9, checkpoints: [checkpoint] })
  books.gang('j', { seats, checkpoint: { step: 5, attempt: 1, at: books.nowMs } })
  expect(books.buckets()).toMatchObject({ productive: 20 * second, provisional: 6 * second })
  books.after(1 * second)
  books.gang('j', { attempt: 2 })
  expect(books.buckets()).toMatchObject({ productive: 20 * second, lost: 8 * second })
  expect(books.buckets()['provisional']).toBeUndefined()
})

test('a checkpoint is as old as its own attempt says, though an older one had written the same step', () => {
  const books = training(10 * second)
  const shipped = { step: 5, rank: 0, manifest: 'm', digest: 'd', bytes: 1 }
  books.report('j-worker-0-1', { step: 5, checkpoints: [{ ...shipped, writtenAtMs: books.nowMs }] })
  books.pod('j-worker-0-1', { phase: 'Failed' })
  books.gang('j', { attempt: 2, seats })
  books.pod('j-worker-0-2')
  books.report('j-worker-0-2', { step: 1, firstStepAtMs: books.nowMs }, 2)
  books.after(30 * second)
  books.report('j-worker-0-2', { step: 5, checkpoints: [{ ...shipped, writtenAtMs: books.nowMs }] }, 2)
  books.gang('j', { attempt: 2, seats, checkpoint: { step: 5, attempt: 2, at: books.nowMs } })
  expect(books.buckets()).toEqual({ lost: 20 * second, productive: 60 * second, idle: 80 * second })
})

test.each([-2, 0, 2])(
  "a node's clock that is %i hours off changes nothing of what was work, or is durable",
  (hours) => {
    const books = openBooks()
    books.node('a', 2)
    books.gang('j', { seats })
    books.pod('j-worker-0-1')
    const byNode = () => books.nowMs + hours * 3600 * second
    const tell = (told: Parameters<Books['report']>[1]) =>
      books.report('j-worker-0-1', { ...told, at: new Date(byNode()).toISOString() })
    tell({})
    books.after(60 * second)
    const firstStepAtMs = byNode() - second
    tell({ step: 1, firstStepAtMs })
    books.after(100 * second)
    const shipped = { step: 9, rank: 0, manifest: 'm', digest: 'd', bytes: 1, writtenAtMs: byNode() }
    books.after(20 * second)
    tell({ step: 9, firstStepAtMs, checkpoints: [shipped] })
    books.after(1 * second)
    books.gang('j', { seats, checkpoint: { step: 9, attempt: 1, at: shipped.writtenAtMs } })
    expect(books.buckets()).toEqual({ starting: 118 * second, productive: 202 * second, provisional: 42 * second })
  },
)

test('a checkpoint that was told while nobody looked was written when its node says, and never later than now', () => {
  for (const [aheadMs, durable] of [
    [0, 14],
    [7_200_000, 20],
  ] as const) {
    const books = training(10 * second)
    const writtenAtMs = books.nowMs - 3 * second + aheadMs
    const told = { step: 9, rank: 0, manifest: 'm', digest: 'd', bytes: 1, writtenAtMs }
    const { fold } = books
    books.pages()
    // Seen by nobody: told to a fold that is thrown away.
    books.fold = Object.assign(Object.create(Object.getPrototypeOf(fold)), {
      apply: () => {},
      advance: () => {},
      take: () => [],
    })
    const at = new Date(writtenAtMs + 8 * second).toISOString()
    books.report('j-worker-0-1', { step: 9, at, checkpoints: [told] })
    books.gang('j', { seats, checkpoint: { step: 9, attempt: 1, at: writtenAtMs } })
    books.crash(60 * second)
    expect(books.buckets()).toMatchObject({ productive: durable * second, unobserved: 240 * second })
  }
})

test('the time before the first step was starting; while rank 0 writes a checkpoint the gang stands still', () => {
  const books = openBooks()
  books.node('a', 2)
  books.gang('j', { seats })
  books.after(1 * second)
  books.pod('j-worker-0-1')
  books.after(4 * second)
  books.report('j-worker-0-1', { step: 1, firstStepAtMs: books.nowMs - 1 * second })
  books.after(5 * second)
  const shipped = {
    step: 1,
    rank: 0,
    manifest: 'm',
    digest: 'd',
    bytes: 1,
    stallSeconds: 0.5,
    writtenAtMs: books.nowMs,
  }
  books.report('j-worker-0-1', { step: 3, checkpoints: [shipped] })
  expect(books.buckets()).toEqual({ provisional: 11 * second, checkpointing: 1 * second, starting: 8 * second })
})

test('a stall and a checkpoint count on all nodes of the gang, also where nothing else was seen for hours', () => {
  const books = openBooks()
  for (const name of ['a', 'b']) books.node(name, 1)
  const members = ['a', 'b'].map((node) => ({ node, devices: ['cpu-0'] }))
  books.gang('j', { seats: members })
  for (const [rank, node] of ['a', 'b'].entries()) books.pod(`j-worker-${rank}-1`, { node })
  books.report('j-worker-0-1', { step: 1, firstStepAtMs: books.nowMs })
  looking(books, 3600 * second)
  const shipped = { step: 9, rank: 0, manifest: 'm', digest: 'd', bytes: 1, writtenAtMs: books.nowMs }
  books.report('j-worker-0-1', { step: 9, checkpoints: [{ ...shipped, stallSeconds: 60 }] })
  looking(books, 100 * second)
  books.gang('j', { seats: members, checkpoint: { step: 9, attempt: 1, at: books.nowMs } })
  expect(books.buckets()).toEqual({ productive: 7080 * second, checkpointing: 120 * second, provisional: 200 * second })
})

test('a gang that sits elsewhere, is suspended or begins anew uses other slots from then on', () => {
  const books = openBooks()
  for (const name of ['a', 'b']) books.node(name, 1)
  const on = (node: string) => [{ node, devices: ['cpu-0'] }]
  books.gang('j', { seats: on('a') })
  books.pod('j-worker-0-1')
  books.report('j-worker-0-1', { step: 1, firstStepAtMs: books.nowMs })
  looking(books, 10 * second)
  books.gang('j', { seats: on('b') })
  looking(books, 20 * second)
  books.gang('j', { seats: on('b'), suspend: true })
  looking(books, 40 * second)
  books.gang('j', { seats: on('b') })
  looking(books, 80 * second)
  books.gang('j', { seats: on('b'), attempt: 2 })
  looking(books, 160 * second)
  // The seats of the second attempt have no pod yet.
  expect(books.buckets()).toEqual({ lost: 110 * second, idle: 350 * second, starting: 160 * second })
})

/** Time passes, and nobody asks for pages. */
function looking(books: Books, ms: number): void {
  for (let left = ms; left > 0; left -= 10 * second) {
    books.nowMs += Math.min(10 * second, left)
    books.fold.look(books.nowMs)
  }
}

/** Two members of a slot each that come and go, both with a first step. */
function changing(): Books {
  const books = openBooks()
  for (const name of ['a', 'b']) books.node(name, 1)
  books.gang('j', { seats: pair, left: [] })
  for (const [rank, node] of ['a', 'b'].entries()) {
    books.pod(`j-worker-${rank}-1`, { node })
    books.report(`j-worker-${rank}-1`, { step: 1, firstStepAtMs: books.nowMs })
  }
  return books
}

const pair = ['a', 'b'].map((node) => ({ node, devices: ['cpu-0'] }))

test('who joins is starting until its own first step, while the others work', () => {
  const books = changing()
  books.after(10 * second)
  books.gang('j', { seats: pair, left: ['j-worker-1-1'] })
  books.pod('j-worker-1-1', { node: 'b', phase: 'Failed' })
  books.after(5 * second)
  expect(books.buckets()).toEqual({ provisional: 25 * second, idle: 5 * second })
  const seats = pair.map((seat, rank) => (rank === 1 ? { ...seat, index: 2, joined: true } : seat))
  books.gang('j', { seats, left: ['j-worker-1-1'] })
  books.pod('j-worker-2-1', { node: 'b' })
  books.after(20 * second)
  expect(books.buckets()).toEqual({ provisional: 45 * second, idle: 5 * second, starting: 20 * second })
  books.report('j-worker-2-1', { step: 30, firstStepAtMs: books.nowMs })
  books.after(7 * second)
  expect(books.buckets()).toEqual({ provisional: 59 * second, idle: 5 * second, starting: 20 * second })
})

test('while others came or went nobody worked, however many tell of it, and whoever does first', () => {
  const books = changing()
  const tells = (index: number, regroupSeconds: number) => {
    books.report(`j-worker-${index}-1`, { step: 9, firstStepAtMs: startMs, regroupSeconds })
    return books.buckets()['starting']
  }
  looking(books, 100 * second)
  expect(tells(1, 15)).toBe(30 * second)
  expect(tells(0, 15)).toBe(30 * second)
  looking(books, 100 * second)
  expect(tells(0, 25)).toBe(50 * second)
  expect(tells(1, 25)).toBe(50 * second)
  // One that has joined meanwhile counts from when it came.
  books.gang('j', { seats: [...pair, { node: 'b', devices: [], index: 2, joined: true }], left: [] })
  books.pod('j-worker-2-1', { node: 'b' })
  expect(tells(2, 0)).toBe(50 * second)
  expect(tells(2, 5)).toBe(60 * second)
  expect(tells(0, 30)).toBe(60 * second)
  expect(tells(1, 30)).toBe(60 * second)
  expect(books.buckets()).toEqual({ provisional: 340 * second, starting: 60 * second })
})

test('what was told of that before the control plane died is not counted again', () => {
  const books = changing()
  books.after(100 * second)
  for (const index of [0, 1])
    books.report(`j-worker-${index}-1`, { step: 9, firstStepAtMs: startMs, regroupSeconds: 15 })
  books.crash(20 * second)
  expect(books.buckets()['starting']).toBe(30 * second)
  for (const index of [1, 0])
    books.report(`j-worker-${index}-1`, { step: 9, firstStepAtMs: startMs, regroupSeconds: 20 })
  expect(books.buckets()['starting']).toBe(40 * second)
})

test('whichever of them writes a checkpoint, all stand still', () => {
  const books = changing()
  books.after(10 * second)
  const shipped = { step: 9, rank: 1, manifest: 'm', digest: 'd', bytes: 1, writtenAtMs: books.nowMs, stallSeconds: 2 }
  books.report('j-worker-1-1', { step: 9, firstStepAtMs: startMs, checkpoints: [shipped] })
  expect(books.buckets()).toEqual({ provisional: 16 * second, checkpointing: 4 * second })
})

test('a job that tells no steps was productive when it succeeds, and lost when it fails or is deleted', () => {
  for (const [end, bucket] of [
    [(books: Books) => books.job('j', 'Succeeded'), 'productive'],
    [(books: Books) => books.job('j', 'Failed'), 'lost'],
    [(books: Books) => books.drop('Gang', 'j'), 'lost'],
  ] as const) {
    const books = openBooks()
    books.node('a', 2)
    books.gang('j', { seats })
    books.pod('j-worker-0-1')
    books.after(7 * second)
    end(books)
    expect(books.buckets()).toEqual({ [bucket]: 14 * second })
  }
})

test('what pods of a job that has failed still do is lost, to their end', () => {
  const books = training(10 * second)
  books.job('j', 'Failed')
  books.after(3 * second)
  books.pod('j-worker-0-1', { phase: 'Failed' })
  expect(books.buckets()).toMatchObject({ lost: 26 * second })
  expect(books.buckets()).not.toHaveProperty('provisional')
})

test('a replica is starting, then serving while it has requests, else headroom, and draining at its end', () => {
  const books = openBooks()
  const seat = { service: 'chat', seats: [{ node: 'a', devices: ['cpu-0'] }] }
  const pod = { gang: 'r', service: 'chat' }
  books.node('a', 1)
  books.gang('r', seat)
  books.pod('r-worker-0-1', pod)
  books.after(2 * second)
  books.pod('r-worker-0-1', { ...pod, ready: true })
  books.after(3 * second)
  books.serviceReport('chat', { perReplica: { 'r-worker-0-1': 2 }, requests: 2, promptTokens: 10 })
  books.after(4 * second)
  books.serviceReport('chat', { perReplica: { 'r-worker-0-1': 0 }, requests: 5, promptTokens: 40, completionTokens: 7 })
  books.after(1 * second)
  books.pod('r-worker-0-1', { ...pod, ready: true, deleting: true })
  books.after(1 * second)
  expect(books.buckets()).toEqual({
    serving: 4 * second,
    headroom: 4 * second,
    starting: 2 * second,
    draining: 1 * second,
  })
  const summary = summarise(books.pages(), 'owner')
  expect(summary.rows.map(({ key }) => key.join(' '))).toContain('InferenceService/default/chat serving')
  expect(summary.usage).toEqual([
    { owner: 'InferenceService/default/chat', requests: 3, promptTokens: 30, completionTokens: 7 },
  ])
})

test('a node that is not ready is unhealthy, a cordoned one reserved, and what still runs on it is what it was', () => {
  const books = training(0)
  books.node('a', 4, { ready: false })
  books.after(1 * second)
  books.node('a', 4, { unschedulable: true })
  books.after(1 * second)
  expect(books.buckets()).toEqual({ provisional: 4 * second, unhealthy: 2 * second, reserved: 2 * second })
})

test('what a pool keeps as a spare is reserved as long as it is one', () => {
  const books = openBooks()
  books.node('a', 2)
  books.node('b', 4)
  books.spares('b')
  books.after(1 * second)
  books.spares()
  books.after(1 * second)
  expect(books.buckets()).toEqual({ reserved: 4 * second, idle: 8 * second })
})

test('a pod of an older attempt that still lives drains, and no slot is counted twice', () => {
  const books = openBooks()
  books.node('a', 2)
  books.gang('j', { attempt: 2, seats })
  books.pod('j-worker-0-1', { devices: 'cpu-0' })
  books.after(1 * second)
  expect(books.buckets()).toEqual({ draining: 1 * second, starting: 1 * second })
})

test('while the control plane is down time is unobserved; what happened meanwhile decides over the time before', () => {
  const lost = training(10 * second)
  lost.crash(60 * second)
  expect(lost.buckets()).toEqual({ provisional: 20 * second, idle: 20 * second, unobserved: 240 * second })
  lost.gang('j', { attempt: 2, seats })
  expect(lost.buckets()).toMatchObject({ lost: 20 * second, unobserved: 240 * second })
  const kept = training(10 * second)
  kept.pages()
  const written = { step: 9, rank: 0, manifest: 'm', digest: 'd', bytes: 1, writtenAtMs: kept.nowMs + 30 * second }
  // Seen by nobody: told to a fold that is thrown away.
  const { fold } = kept
  kept.fold = Object.assign(Object.create(Object.getPrototypeOf(fold)), {
    apply: () => {},
    advance: () => {},
    take: () => [],
  })
  kept.report('j-worker-0-1', { step: 9, checkpoints: [written] })
  kept.gang('j', { seats, checkpoint: { step: 9, attempt: 1, at: written.writtenAtMs } })
  kept.crash(60 * second)
  expect(kept.buckets()).toMatchObject({ productive: 20 * second, unobserved: 240 * second })
})

test('a control plane that was stopped for a minute saw nothing of it', () => {
  const books = training(10 * second)
  books.nowMs += 60 * second
  books.fold.advance(books.nowMs)
  expect(books.buckets()).toMatchObject({ provisional: 20 * second, unobserved: 240 * second })
})

test('a node that comes back while the clock is set back is accounted for from where it was', () => {
  const books = openBooks()
  books.node('a', 4)
  books.after(60 * second)
  books.drop('Node', 'a')
  books.nowMs -= 40 * second
  books.node('a', 4)
  books.after(50 * second)
  expect(books.buckets()).toEqual({ idle: 4 * 70 * second })
})

test('a node that was there and that the first look does not show goes on from where it was; one that is new does not', () => {
  for (const [createdMs, unobserved] of [
    [startMs, 4 * 20 * second],
    [startMs + 75 * second, undefined],
  ] as const) {
    const books = openBooks()
    books.node('a', 4)
    books.after(60 * second)
    const fold = new LedgerFold(books.pages(), startMs + 70 * second)
    fold.synced(startMs + 70 * second)
    const node: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'a', creationTimestamp: new Date(createdMs).toISOString() },
      spec: {},
      status: { allocatable: { [cpuSlot]: '4' }, conditions: [{ type: 'Ready', status: 'True' }] },
    }
    fold.apply({ kind: 'Node', object: node, deleted: false }, startMs + 80 * second)
    fold.advance(startMs + 90 * second)
    const entries = fold.take('1').flatMap(({ status }) => status?.entries ?? [])
    expect(entries.find(({ bucket }) => bucket === 'unobserved')?.slotMs).toBe(unobserved)
    expect(entries.find(({ bucket }) => bucket === 'idle')?.slotMs).toBe(4 * 70 * second)
  }
})

test('hours have pages of their own, and a summary of all adds up to slots × time', () => {
  const books = training(2 * 3600 * second + 5 * second)
  const pages = books.pages()
  expect(pages.map((page) => page.spec.fromMs - startMs)).toEqual([0, 3600 * second, 7200 * second])
  const summary = summarise(pages, 'node')
  expect(summary.totalSlotMs).toBe(summary.capacitySlotMs)
  expect(summary.capacitySlotMs).toBe(4 * (7205 * second))
  books.job('j', 'Succeeded')
  expect(books.buckets()).toMatchObject({ productive: 2 * 7205 * second })
})

test('by namespace, the time of nobody is under "-"; every bucket is explained', () => {
  const summary = summarise(training(1 * second).pages(), 'namespace')
  expect(summary.rows.map(({ key, slotMs }) => [...key, slotMs])).toEqual([
    ['-', 'idle', 2 * second],
    ['default', 'provisional', 2 * second],
  ])
  expect(summary.header).toEqual(['namespace', 'bucket'])
  expect(summary.fromMs).toBe(startMs)
  for (const { meaning } of summary.buckets) expect(meaning).toMatch(/^[a-z].{20,110}$/)
})

test('a price holds from when it changes: what came before keeps its own, across a restart too', () => {
  const books = openBooks()
  const usd = () => summarise(books.pages(), 'bucket').totalUsd
  books.price(2)
  books.node('a', 4)
  books.after(1800 * second)
  expect(usd()).toBeCloseTo(4)
  books.price(10)
  books.price(8)
  expect(usd()).toBeCloseTo(4)
  books.after(900 * second)
  expect(usd()).toBeCloseTo(4 + 8)
  books.crash(60 * second)
  books.after(840 * second)
  expect(usd()).toBeCloseTo(4 + 16)
  books.after(3600 * second)
  books.price(1)
  expect(usd()).toBeCloseTo(4 + 16 + 32)
  expect(books.pages().map(({ spec, status }) => [spec.fromMs - startMs, status?.pricePerSlotHour])).toEqual([
    [0, 2],
    [1800 * second, 8],
    [3600 * second, 8],
    [7200 * second, 1],
  ])
  expect(books.buckets()).toEqual({ idle: 4 * 7140 * second, unobserved: 240 * second })
})

test('whatever happens, every slot-millisecond is in exactly one bucket, at the price of its time', () => {
  const gangName = fc.constantFrom('j', 'k', 'r')
  const nodeName = fc.constantFrom('a', 'b')
  const device = fc.constantFrom('cpu-0', 'cpu-1', 'cpu-2')
  const step = fc.oneof(
    fc.record({
      do: fc.constant('node' as const),
      name: nodeName,
      slots: fc.integer({ min: 0, max: 3 }),
      ready: fc.boolean(),
    }),
    fc.record({
      do: fc.constant('drop' as const),
      kind: fc.constantFrom('Node', 'Gang', 'Pod'),
      name: fc.oneof(gangName, nodeName),
    }),
    fc.record({
      do: fc.constant('gang' as const),
      name: gangName,
      attempt: fc.integer({ min: 1, max: 3 }),
      suspend: fc.boolean(),
      node: nodeName,
      devices: fc.array(device, { maxLength: 3 }),
      milli: fc.constantFrom(1000, 333, 500),
      joined: fc.boolean(),
      left: fc.constantFrom(undefined, [], ['j-worker-0-1', 'k-worker-0-2']),
      checkpoint: fc.integer({ min: 0, max: 3 }),
      waits: fc.constantFrom<boolean | string>(true, false, 'NeverFits', 'InsufficientMemory'),
      asks: fc.record({ count: fc.constantFrom(1, 2, 0.5), min: fc.integer({ min: 1, max: 3 }) }),
    }),
    fc.record({
      do: fc.constant('pod' as const),
      gang: gangName,
      attempt: fc.integer({ min: 1, max: 3 }),
      node: nodeName,
      phase: fc.constantFrom('Pending', 'Running', 'Succeeded', 'Failed'),
      ready: fc.boolean(),
      deleting: fc.boolean(),
      devices: device,
    }),
    fc.record({
      do: fc.constant('report' as const),
      gang: gangName,
      attempt: fc.integer({ min: 1, max: 3 }),
      step: fc.nat(3),
      stall: fc.nat(3000),
      regroup: fc.nat(30),
    }),
    fc.record({
      do: fc.constant('job' as const),
      name: gangName,
      phase: fc.constantFrom('Running', 'Succeeded', 'Failed'),
    }),
    fc.record({ do: fc.constant('price' as const), usd: fc.integer({ min: 0, max: 3 }) }),
    fc.record({ do: fc.constant('crash' as const), ms: fc.nat(100_000) }),
    fc.record({ do: fc.constant('sleep' as const), ms: fc.nat(90_000) }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.nat(2_000_000)), { maxLength: 40 }), (steps) => {
      const books = openBooks()
      const slots = new Map<string, number>()
      let [capacity, price, usd] = [0, 0, 0]
      const pass = (from: number) => {
        const all = [...slots.values()].reduce((sum, count) => sum + count * (books.nowMs - from), 0)
        capacity += all
        usd += (all / 3_600_000) * price
      }
      for (const [one, ms] of steps) {
        const from = books.nowMs
        perform(books, one)
        pass(from)
        if (one.do === 'node') slots.set(one.name, one.slots)
        if (one.do === 'drop' && one.kind === 'Node') slots.delete(one.name)
        if (one.do === 'price') price = one.usd
        const then = books.nowMs
        books.after(ms % 4 === 0 ? ms : ms % 5000)
        pass(then)
      }
      const summary = summarise(books.pages(), 'bucket')
      expect(summary.totalSlotMs).toBe(summary.capacitySlotMs)
      expect(summary.capacitySlotMs).toBe(capacity)
      expect(summary.totalUsd).toBeCloseTo(usd, 6)
    }),
    { numRuns: 300 },
  )

  type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
  function perform(books: Books, one: Step): void {
    if (one.do === 'node') books.node(one.name, one.slots, { ready: one.ready })
    else if (one.do === 'drop' && (one.kind === 'Node' || one.kind === 'Gang' || one.kind === 'Pod'))
      books.drop(one.kind, one.name)
    else if (one.do === 'gang') {
      const at = { step: one.checkpoint, attempt: 1, at: books.nowMs - 500 }
      books.gang(one.name, {
        attempt: one.attempt,
        suspend: one.suspend,
        seats: one.devices.map((id) => ({ node: one.node, devices: [id], milli: one.milli, joined: one.joined })),
        ...(one.left === undefined ? {} : { left: one.left }),
        waits: one.waits,
        asks: one.asks,
        ...(one.name === 'r' ? { service: 'chat' } : {}),
        ...(one.checkpoint === 0 ? {} : { checkpoint: at }),
      })
    } else if (one.do === 'pod') {
      const { gang, node, phase, ready, deleting, devices } = one
      const service = gang === 'r' ? { service: 'chat' } : {}
      books.pod(`${gang}-worker-0-${one.attempt}`, {
        gang,
        node,
        ready,
        deleting,
        devices,
        ...service,
        ...phaseOf(phase),
      })
    } else if (one.do === 'report') {
      const shipped = { step: one.step, rank: 0, manifest: 'm', digest: 'd', bytes: 1, writtenAtMs: books.nowMs - 200 }
      const checkpoints = [{ ...shipped, stallSeconds: one.stall / 1000 }]
      const told = { step: one.step, firstStepAtMs: books.nowMs - 100, regroupSeconds: one.regroup, checkpoints }
      books.report(`${one.gang}-worker-0-${one.attempt}`, told, one.attempt)
    } else if (one.do === 'job')
      books.job(one.name, one.phase === 'Running' ? 'Running' : one.phase === 'Failed' ? 'Failed' : 'Succeeded')
    else if (one.do === 'price') books.price(one.usd)
    else if (one.do === 'crash') books.crash(one.ms)
    else if (one.do === 'sleep') books.nowMs += one.ms
  }
})

function phaseOf(phase: string): { phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' } {
  if (phase === 'Pending' || phase === 'Running' || phase === 'Succeeded' || phase === 'Failed') return { phase }
  return {}
}
