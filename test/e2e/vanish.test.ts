import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Agent, createAgent } from '../../src/agent/agent.ts'
import { isRunning } from '../../src/agent/fixture.ts'
import { type LocalCopies, localCopies } from '../../src/agent/local/copies.ts'
import { localFiles } from '../../src/agent/local/files.ts'
import { splitNodes } from '../../src/agent/local/machine.ts'
import { createLocalRunner } from '../../src/agent/local/runner.ts'
import type { Clock } from '../../src/base/clock.ts'
import { OperatingError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { processOf } from '../../src/base/process.fixture.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { Blobs } from '../../src/blob/contract.ts'
import { createFileBlobs } from '../../src/blob/file/blobs.ts'
import { type Control, startControl } from '../../src/control/run.ts'
import type { Gang } from '../../src/model/kinds/gang.ts'
import { trainingJob } from '../../src/model/kinds/training-job.ts'
import { millwrightVersion } from '../../src/model/metadata.ts'
import { bootstrap } from '../../src/runtime/bootstrap.ts'
import { realClock } from '../../src/runtime/clock.ts'
import type { Store } from '../../src/store/contract.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'

/** Forty seconds of silence make a node lost; here they pass in four. */
const speed = 10
const startMs = Date.now()
const clock: Clock = {
  now: () => startMs + (Date.now() - startMs) * speed,
  steadyMs: () => performance.now() * speed,
  sleep: (ms, signal) => realClock.sleep(ms / speed, signal),
  after: (ms, run) => realClock.after(ms / speed, run),
  every: (ms, run) => realClock.every(ms / speed, run),
}

/** Logical nodes with an agent each over real processes, and a control plane that hears of them through the store alone. */
describe('a node', () => {
  let dir: string
  let store: Store
  let blobs: Blobs
  let control: Control
  let copies: LocalCopies
  let members: Member[]
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'vanish-'))
    store = createMemoryStore({ clock, random: seededRandom(1) })
    blobs = createFileBlobs({ dir: join(dir, 'blobs') })
    await bootstrap(store)
    const machine = { hostname: 'm', cores: 3, memoryBytes: 3e9, gpus: [], info: {} }
    const nodes = splitNodes(machine, { nodes: 3, slots: 3 })
    copies = localCopies({ dir: join(dir, 'agent/copies'), nodes: nodes.map(({ name }) => name) })
    members = nodes.map((node) => createMember(node))
    for (const member of members) await member.start()
    control = startControl({
      store,
      blobs,
      ...processOf(clock, 2),
      identity: 'control',
    })
  })
  afterEach(async () => {
    for (const member of members) member.mend()
    await control.stop()
    for (const member of members) await member.end()
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })

  interface Member {
    name: string
    start(): Promise<void>
    /** Nothing that it asks of the store is answered any more, nothing that it says arrives. */
    cut(): void
    mend(): void
    /** The process of the agent died; those of its pods go on. */
    crash(): Promise<void>
    /** As a machine that lost its power: the processes are gone, and nobody said a word. */
    vanish(): Promise<void>
    end(): Promise<void>
  }

  function createMember(node: ReturnType<typeof splitNodes>[number]): Member {
    const line = cutable(store)
    const agentDir = join(dir, 'agent')
    let agent: Agent | undefined
    return {
      name: node.name,
      cut: () => line.cut(),
      mend: () => line.mend(),
      async start() {
        agent = createAgent({
          store: line,
          blobs,
          copies,
          ...processOf(clock, 3),
          node,
          files: localFiles({ dir: agentDir }),
          runner: createLocalRunner({ dir: agentDir, node: node.name, clock, log: silentLog }),
        })
        await agent.start()
      },
      crash,
      async vanish() {
        line.cut()
        agent?.signalAll('SIGKILL')
        await crash()
        await copies.lose(node.name)
      },
      async end() {
        await agent?.stop('kill', 0)
      },
    }
    async function crash(): Promise<void> {
      line.cut()
      await agent?.stop('leave')
      agent = undefined
    }
  }

  /** Counts, checkpoints as it does, and goes on from what was restored; says who it is. */
  const script = (): string =>
    [
      'mine=$(ls $MILLWRIGHT_CHECKPOINT_DIR | sed -n "s/^step-//p" | sort -n | tail -n 1); i=$((mine + 0))',
      `echo "$RANK $$ $i" >>${dir}/starts`,
      'while :; do',
      '  i=$((i + 1)); sleep 0.05; echo "{\\"step\\":$i}" >>$MILLWRIGHT_PROGRESS',
      '  d=$MILLWRIGHT_CHECKPOINT_DIR/step-$i; [ $((i % 5)) != 0 ] || { mkdir $d.tmp; echo $i >$d.tmp/weights; mv $d.tmp $d; }',
      `  [ ! -e ${dir}/finish ] || exit 0`,
      'done',
    ].join('\n')

  async function run(checkpoint: { copies?: number } = {}): Promise<void> {
    await store.create(
      'TrainingJob',
      trainingJob.parse({
        apiVersion: millwrightVersion,
        kind: 'TrainingJob',
        metadata: { name: 'j', namespace: 'default' },
        spec: { workers: 2, command: ['sh', '-c', script()], checkpoint },
      }),
    )
    await until(async () => (await job())?.status?.phase === 'Running' && (await committed()) >= 5)
  }
  const ref = { name: 'j', namespace: 'default' }
  const job = () => store.get('TrainingJob', ref)
  const gang = async (): Promise<Gang> => {
    const found = await store.get('Gang', ref)
    if (found === undefined) throw new Error('no gang')
    return found
  }
  const committed = async (): Promise<number> => (await gang()).status?.checkpoint?.step ?? 0
  const ready = async (name: string) =>
    (await store.get('Node', { name }))?.status?.conditions?.find(({ type }) => type === 'Ready')
  const seatOf = async (rank: number) => (await gang()).status?.seats?.members.find((seat) => seat.rank === rank)
  const memberOf = async (rank: number): Promise<Member> => {
    const node = (await seatOf(rank))?.node
    const found = members.find(({ name }) => name === node)
    if (found === undefined) throw new Error(`no node of rank ${rank}`)
    return found
  }
  const starts = (): { rank: number; pid: number; from: number }[] =>
    readFileSync(join(dir, 'starts'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number))
      .map(([rank = 0, pid = 0, from = 0]) => ({ rank, pid, from }))
  const runsIn = (attempt: number) =>
    until(async () => {
      const { spec, status } = await gang()
      return spec.attempt === attempt && (await job())?.status?.phase === 'Running' && status?.seats !== undefined
    })
  async function finish(): Promise<void> {
    writeFileSync(join(dir, 'finish'), '')
    await until(async () => (await job())?.status?.phase === 'Succeeded')
  }

  it('that vanishes without a word becomes Unknown, and its gang goes on elsewhere from its last checkpoint', async () => {
    await run()
    const lost = await memberOf(1)
    const before = await committed()
    await lost.vanish()
    await until(async () => (await ready(lost.name))?.status === 'Unknown')
    await runsIn(2)
    const seats = (await gang()).status?.seats?.members.map((seat) => seat.node) ?? []
    expect(seats).toHaveLength(2)
    expect(seats).not.toContain(lost.name)
    const { restarts, lastFailure } = (await job())?.status ?? {}
    expect([restarts, lastFailure?.reason]).toEqual([1, 'NodeLost'])
    for (const { from } of starts().slice(2)) expect(from).toBeGreaterThanOrEqual(before)
    for (const { pid } of starts().slice(0, 2)) expect(isRunning(pid)).toBe(false)

    // It comes back: Ready again, nothing of the old attempt runs, and the new one is left alone.
    lost.mend()
    await lost.start()
    await until(async () => (await ready(lost.name))?.status === 'True')
    await finish()
    expect((await gang()).spec.attempt).toBe(2)
    expect(starts()).toHaveLength(4)
  })

  it('that vanishes with what it wrote leaves a copy with its peer, which storage is not asked for', async () => {
    await run({ copies: 2 })
    const lost = await memberOf(0) // the one that writes checkpoints
    const peer = (await seatOf(1))?.node ?? ''
    expect((await gang()).status?.checkpoint?.copies).toEqual([[lost.name, peer].toSorted().join()])
    const before = await committed()
    await lost.vanish()
    rmSync(join(dir, 'blobs/sha256'), { recursive: true })
    await runsIn(2)
    await until(async () => starts().length === 4)
    for (const { from } of starts().slice(2)) expect(from).toBeGreaterThanOrEqual(before)
    for (const seat of (await gang()).status?.seats?.members ?? []) {
      const { status } = (await store.get('Report', { name: `pod.${seat.pod}`, namespace: 'default' })) ?? {}
      expect(status?.restoredFrom).toBe(seat.node === peer ? 'node' : 'peer')
    }
    await finish()
    expect((await job())?.status).toMatchObject({ restarts: 1, phase: 'Succeeded' })
    // Nobody would start from them any more.
    await until(async () => (await copies.of(peer)?.list('checkpoints/'))?.length === 0)
  })

  it('that is cut off keeps its pod running, and ends it once it hears that the gang went on without it', async () => {
    await run()
    const away = await memberOf(0) // the one that writes checkpoints
    const old = starts().find(({ rank }) => rank === 0)?.pid ?? 0
    away.cut()
    await runsIn(2)
    expect(isRunning(old)).toBe(true)
    const at = await committed()
    await until(async () => (await committed()) > at)
    const { attempt } = (await gang()).status?.checkpoint ?? {}
    expect(attempt).toBe(2)
    away.mend()
    await until(async () => !isRunning(old))
    await until(async () => (await ready(away.name))?.status === 'True')
    const shipped = (await gang()).status?.checkpoint
    expect(shipped?.attempt).toBe(2)
    await finish()
    expect((await job())?.status).toMatchObject({ restarts: 1, phase: 'Succeeded' })
  })

  it('whose agent alone died keeps its pod running, and the next agent ends it when the gang went on without it', async () => {
    await run()
    const away = await memberOf(1)
    const old = starts().find(({ rank }) => rank === 1)?.pid ?? 0
    await away.crash()
    await runsIn(2)
    expect(isRunning(old)).toBe(true)
    away.mend()
    await away.start()
    await until(async () => !isRunning(old))
    await finish()
    expect((await gang()).spec.attempt).toBe(2)
    expect(starts()).toHaveLength(4)
  })

  it('whose agent is back before its silence is noticed goes on as if nothing had been', async () => {
    await run()
    const away = await memberOf(1)
    away.cut()
    await clock.sleep(20_000)
    away.mend()
    const at = await committed()
    await until(async () => (await committed()) > at + 5)
    expect((await gang()).spec.attempt).toBe(1)
    expect(starts()).toHaveLength(2)
    await finish()
    expect((await job())?.status?.restarts ?? 0).toBe(0)
  })
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  await expect.poll(holds, { timeout: 60_000, interval: 20 }).toBe(true)
}

/** A store at the other end of a line. Cut, what is asked fails after a while, and watches hear nothing; mended, they have missed something. */
function cutable(store: Store): Store & { cut(): void; mend(): void } {
  let isCut = false
  const expire = new Set<() => void>()
  const over =
    <A extends unknown[], R>(call: (...words: A) => Promise<R>) =>
    async (...words: A): Promise<R> => {
      if (!isCut) return await call(...words)
      await clock.sleep(1000)
      throw new OperatingError('unreachable', { retryAfterMs: 1000 }, 'the control plane does not answer')
    }
  return {
    cut() {
      isCut = true
    },
    mend() {
      isCut = false
      for (const each of expire) each()
      expire.clear()
    },
    get: over(store.get.bind(store)) as Store['get'],
    list: over(store.list.bind(store)) as Store['list'],
    create: over(store.create.bind(store)) as Store['create'],
    update: over(store.update.bind(store)) as Store['update'],
    updateStatus: over(store.updateStatus.bind(store)) as Store['updateStatus'],
    patch: over(store.patch.bind(store)) as Store['patch'],
    delete: over(store.delete.bind(store)),
    bind: over(store.bind.bind(store)),
    evict: over(store.evict.bind(store)),
    watch(kind, options, sink) {
      const stop = store.watch(kind, options, {
        ...sink,
        event(...words: Parameters<typeof sink.event>) {
          if (!isCut) return sink.event(...words)
          expire.add(expired)
        },
      })
      function expired(): void {
        stop()
        sink.ended('expired')
      }
      return () => {
        expire.delete(expired)
        stop()
      }
    },
  }
}
