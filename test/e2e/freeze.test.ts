import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { isRunning } from '../../src/agent/fixture.ts'
import { factoryIn, read, until } from './factory.fixture.ts'

/** Processes that stand still (SIGSTOP: a stuck disk, a debugger, a laptop that sleeps), through the built command line. */
describe('what freezes', () => {
  const dir = mkdtempSync(join(tmpdir(), 'millwright-freeze-'))
  const factory = factoryIn(dir)
  afterEach(() => factory.stop('SIGINT'))
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  /** A worker that steps, checkpoints every fifth step, and ends once the file `finish` of the job is there. */
  async function start(name: string, workers: number): Promise<void> {
    const script = [
      'i=$(ls $MILLWRIGHT_CHECKPOINT_DIR | sed -n "s/^step-//p" | sort -n | tail -n 1); i=$((i + 0))',
      `echo "$RANK $$ $i" >>${dir}/${name}.starts`,
      `while [ ! -e ${dir}/${name}.finish ]; do`,
      '  i=$((i + 1)); sleep 0.1; echo "{\\"step\\":$i}" >>$MILLWRIGHT_PROGRESS',
      '  d=$MILLWRIGHT_CHECKPOINT_DIR/step-$i; [ $((i % 5)) != 0 ] || { mkdir $d.tmp; echo $i >$d.tmp/weights; mv $d.tmp $d; }',
      'done',
    ].join('\n')
    const words = ['--detach', '--name', name, '--workers', String(workers), '--max-restarts', '2', '--', 'sh', '-c']
    expect(factory.millwright('run', ...words, script).status).toBe(0)
    await until(() => starts(name).length === workers && status(name).phase === 'Running')
  }
  const starts = (name: string) =>
    read(join(dir, `${name}.starts`))
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' ').map(Number))
      .map(([rank = 0, pid = 0, from = 0]) => ({ rank, pid, from }))
  const status = (name: string) =>
    (factory.job(name).status ?? {}) as {
      phase?: string
      step?: number
      restarts?: number
      checkpoint?: { step?: number }
      lastFailure?: { pod?: string; reason?: string; message?: string }
    }

  it('a rank: it is told by name, killed with its gang, and the gang goes on from its last checkpoint', async () => {
    await factory.up()
    await start('ring', 2)
    await until(() => (status('ring').checkpoint?.step ?? 0) >= 10)
    const before = status('ring').checkpoint?.step ?? 0
    const frozen = starts('ring').find(({ rank }) => rank === 1)?.pid ?? 0
    process.kill(frozen, 'SIGSTOP')
    await until(() => starts('ring').length === 4)
    await until(() => status('ring').phase === 'Running')
    expect(status('ring')).toMatchObject({ restarts: 1, lastFailure: { pod: 'ring-worker-1-1', reason: 'Hung' } })
    expect(status('ring').lastFailure?.message).toMatch(/did no step for \d+ s/)
    for (const { from } of starts('ring').slice(2)) expect(from).toBeGreaterThanOrEqual(before)
    await until(() => !isRunning(frozen))
    writeFileSync(join(dir, 'ring.finish'), '')
    await until(() => status('ring').phase === 'Succeeded')
  })

  it('the factory: its pods go on, nobody is blamed for the time it slept, and what ended meanwhile is known', async () => {
    await factory.up()
    await start('steady', 2)
    await start('short', 1)
    await start('asleep', 1)
    await until(() => (status('steady').step ?? 0) > 5 && (status('asleep').step ?? 0) > 20)
    const asleep = starts('asleep')[0]?.pid ?? 0
    process.kill(asleep, 'SIGSTOP')
    await new Promise((done) => setTimeout(done, 500)) // all that it did is read
    process.kill(factory.pid(), 'SIGSTOP')
    const at = starts('steady').length
    writeFileSync(join(dir, 'short.finish'), '')
    // Longer than its lease, and than a rank may stand still.
    await new Promise((done) => setTimeout(done, 8_000))
    process.kill(factory.pid(), 'SIGCONT')
    await new Promise((done) => setTimeout(done, 2000)) // the machine wakes up bit by bit
    process.kill(asleep, 'SIGCONT')
    await until(() => status('short').phase === 'Succeeded')
    const step = status('steady').step ?? 0
    expect(step).toBeGreaterThan(50)
    await until(() => (status('steady').step ?? 0) > step + 20)
    for (const name of ['steady', 'asleep']) {
      expect(status(name)).toMatchObject({ phase: 'Running', restarts: 0 })
      expect(starts(name)).toHaveLength(name === 'steady' ? at : 1)
    }
    expect(factory.millwright('get', 'nodes').stdout).toMatch(/ Ready /)
    for (const name of ['steady', 'asleep']) writeFileSync(join(dir, `${name}.finish`), '')
    for (const name of ['steady', 'asleep']) await until(() => status(name).phase === 'Succeeded')
  })
})
