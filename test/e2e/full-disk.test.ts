import { existsSync, readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SmallDisk, smallDisk, smallDiskProblem } from '../small-disk.fixture.ts'
import { factoryIn, until } from './factory.fixture.ts'

/** A factory whose folder lies on a small disk, through the built command line. */
const title = `a factory whose disk is full${smallDiskProblem === undefined ? '' : ` (${smallDiskProblem})`}`

describe.skipIf(smallDiskProblem !== undefined)(title, () => {
  let disk: SmallDisk
  let aside: SmallDisk
  let dir: string
  let factory: ReturnType<typeof factoryIn>
  beforeEach(() => {
    disk = smallDisk(8 << 20)
    aside = smallDisk(8 << 20)
    dir = join(disk.dir, 'factory')
    factory = factoryIn(dir, { cwd: aside.dir })
  })
  afterEach(async () => {
    disk.free()
    await factory.stop('SIGINT')
    disk.close()
    aside.close()
  })

  const put = (name: string, text = ''): string => {
    writeFileSync(join(aside.dir, name), text)
    return join(aside.dir, name)
  }
  /** Resources that take room until there is none. */
  const secrets = (name: string, count: number): string => {
    const one = (index: number): string =>
      `---\napiVersion: v1\nkind: Secret\nmetadata: {name: ${name}-${index}}\nstringData: {x: ${'y'.repeat(8000)}}\n`
    return put(`${name}.yaml`, Array.from({ length: count }, (_, index) => one(index)).join(''))
  }
  const isSentence = (stderr: string): void => {
    expect(stderr).toMatch(/^millwright: .+\n$/)
    expect(stderr).not.toContain('    at ')
  }
  const untilFile = (name: string): string => `while [ ! -e ${aside.dir}/${name} ]; do sleep 0.05; done`

  it.each([0, 12, 40])(
    'says so before it is up, with %d KiB left, leaves no empty token, and is up once there is room',
    async (kib) => {
      disk.fill(kib << 10)
      const ended = await factory.start()
      expect(ended?.code).toBe(1)
      isSentence(ended?.output ?? '')
      expect(ended?.output).toMatch(/the disk that holds \S+ is full/)
      expect(ended?.output).toContain(dir)
      expect(existsSync(join(dir, 'token')) && statSync(join(dir, 'token')).size === 0).toBe(false)
      disk.free()
      await factory.up()
      expect(readFileSync(join(dir, 'token'), 'utf8').trim().length).toBeGreaterThan(40)
      expect(factory.millwright('run', '--', 'echo', 'hello').stdout).toBe('hello\n')
    },
  )

  it('is up or says so, however little room there is', async () => {
    const outcomes: string[] = []
    for (let kib = 176; outcomes.at(-1) !== 'up' && kib < 512; kib += 6) {
      disk.close()
      disk = smallDisk(8 << 20)
      dir = join(disk.dir, 'factory')
      factory = factoryIn(dir, { cwd: aside.dir })
      disk.fill(kib << 10)
      const ended = await factory.start()
      outcomes.push(ended?.output ?? 'up')
      if (ended === undefined) continue
      expect([kib, ended.code, ended.output]).toEqual([
        kib,
        1,
        expect.stringMatching(/^millwright: the disk that holds .*\n$/),
      ])
    }
    expect(outcomes.length).toBeGreaterThan(1)
    expect(outcomes.at(-1)).toBe('up')
  })

  it('refuses what finds no room with one sentence, answers all else, and loses nothing', async () => {
    await factory.up()
    const queue = put('queue.yaml', 'apiVersion: millwright.dev/v1alpha1\nkind: Queue\nmetadata: {name: q}\nspec: {}\n')
    expect(factory.millwright('apply', '-f', queue).status).toBe(0)
    disk.fill()
    const refused = factory.millwright('apply', '-f', secrets('many', 200))
    expect(refused.status).toBe(1)
    isSentence(refused.stderr)
    expect(refused.stderr).toContain(`the disk that holds ${join(dir, 'store')} is full`)
    expect(refused.stderr).toContain('Free some space')
    const acknowledged = refused.stdout.split('\n').filter((line) => line.endsWith(' created'))
    const kept = () => factory.millwright('get', 'secrets', '-o', 'name').stdout.split('\n').filter(Boolean)
    expect(kept()).toHaveLength(acknowledged.length)
    expect(factory.millwright('status').status).toBe(0)
    await factory.stop('SIGKILL')
    disk.free()
    await factory.up()
    expect(kept()).toHaveLength(acknowledged.length)
    expect(factory.millwright('get', 'queue', 'q').status).toBe(0)
    expect(factory.millwright('apply', '-f', secrets('more', 3)).status).toBe(0)
  })

  it('keeps a new job waiting with the reason, and runs it once there is room, without a restart', async () => {
    await factory.up()
    const pid = factory.pid()
    disk.fill()
    const run = factory.begin('run', '--name', 'waiter', '--', 'sh', '-c', 'echo ran')
    await until(() => factory.job('waiter').status?.message?.includes('full') === true)
    expect(factory.job('waiter').status).toMatchObject({
      phase: 'Starting',
      message: `waiter-worker-0-1 waits: the disk that holds ${join(dir, 'agent')} is full; free some space there`,
    })
    expect(factory.millwright('describe', 'job', 'waiter').stdout).toMatch(/DiskFull .*waiter-worker-0-1: the disk/)
    await until(() => run.text().includes('waiter starting: waiter-worker-0-1 waits: the disk that holds'))
    disk.free()
    expect(await run.code).toBe(0)
    expect(run.text()).toMatch(/\nran\n$/)
    expect(factory.job('waiter').status?.message).toBeUndefined()
    expect(factory.job('waiter').status?.restarts ?? 0).toBe(0)
    expect(factory.pid()).toBe(pid)
  })

  it('goes on with what runs, ships a checkpoint later, and stops and resumes from it', async () => {
    await factory.up()
    const script = put(
      'train.sh',
      [
        'echo started >>$ASIDE/starts; i=$(ls $MILLWRIGHT_CHECKPOINT_DIR | sed -n "s/^step-//p" | sort -n | tail -n 1); [ -n "$i" ] || i=0',
        'echo from $i >>$ASIDE/from',
        'while [ ! -e $ASIDE/finish ]; do',
        '  i=$((i + 1)); echo "{\\"step\\":$i}" >>$MILLWRIGHT_PROGRESS',
        '  d=$MILLWRIGHT_CHECKPOINT_DIR/step-$i; mkdir $d.tmp && head -c 500000 /dev/zero >$d.tmp/weights && mv $d.tmp $d',
        '  while [ ! -e $ASIDE/go-$i ] && [ ! -e $ASIDE/finish ]; do sleep 0.05; done',
        'done',
      ].join('\n'),
    )
    const file = put(
      'job.yaml',
      [
        'apiVersion: millwright.dev/v1alpha1',
        'kind: TrainingJob',
        'metadata: {name: train}',
        'spec:',
        `  command: [sh, ${script}]`,
        `  env: {ASIDE: ${aside.dir}}`,
      ].join('\n'),
    )
    expect(factory.millwright('apply', '-f', file).status).toBe(0)
    const committed = () => (factory.job('train').status as { checkpoint?: { step?: number } })?.checkpoint?.step
    await until(() => committed() === 1)
    disk.fill(700_000) // room for the job's own copy, not for the one that is shipped
    put('go-1')
    const described = () => factory.millwright('describe', 'job', 'train').stdout
    await until(() => described().includes('CheckpointNotShipped'))
    expect(described()).toMatch(/the checkpoint of step 2 could not be shipped: .*the disk that holds \S+blobs is full/)
    expect([committed(), factory.phase('train')]).toEqual([1, 'Running'])
    disk.free()
    await until(() => committed() === 2)
    disk.fill()
    const stopping = factory.stop('SIGINT')
    await until(() => factory.printed().includes('stopping'))
    await new Promise((done) => setTimeout(done, 2000))
    process.kill(factory.pid(), 'SIGINT') // its job cannot be asked for a last checkpoint: there is no room to ask
    await stopping
    disk.free()
    await factory.up()
    await until(() => readFileSync(join(aside.dir, 'from'), 'utf8').split('\n').length === 3)
    expect(readFileSync(join(aside.dir, 'from'), 'utf8')).toBe('from 0\nfrom 2\n')
    put('finish')
    await until(() => factory.phase('train') === 'Succeeded')
    expect(factory.job('train').status?.restarts ?? 0).toBe(0)
  })

  it('stops when asked, though the store takes nothing any more, and goes on after that', async () => {
    await factory.up()
    const script = `echo x >>${aside.dir}/starts; ${untilFile('finish')}`
    const run = ['run', '--detach', '--name', 'worker', '--max-restarts', '1']
    expect(factory.millwright(...run, '--', 'sh', '-c', script).status).toBe(0)
    await until(() => existsSync(join(aside.dir, 'starts')))
    disk.fill()
    factory.millwright('apply', '-f', secrets('large', 200))
    const tiny = (index: number) => `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: tiny-${index}}\n`
    const last = put('tiny.yaml', Array.from({ length: 200 }, (_, index) => tiny(index)).join(''))
    await until(() => factory.millwright('apply', '-f', last).stderr.includes('is full'))
    expect(await factory.stop('SIGINT')).toBe(0)
    expect(factory.printed()).toMatch(/warning: what could not be suspended starts again .* is full/)
    disk.free()
    await factory.up()
    await until(() => readFileSync(join(aside.dir, 'starts'), 'utf8') === 'x\nx\n')
    put('finish')
    await until(() => factory.phase('worker') === 'Succeeded')
  })

  it('outlives an output that fills the disk', async () => {
    await factory.up()
    const flood = `while [ ! -e ${aside.dir}/stop ]; do head -c 65536 /dev/zero 2>/dev/null || sleep 0.05; done; ${untilFile('go')}; exit 3`
    expect(factory.millwright('run', '--detach', '--name', 'flood', '--', 'sh', '-c', flood).status).toBe(0)
    await until(() => statfsSync(disk.dir).bfree === 0)
    put('stop')
    expect(factory.millwright('get', 'jobs').stdout).toContain('flood')
    put('go')
    await until(() => factory.phase('flood') === 'Failed')
    expect(factory.job('flood').status?.message).toContain(
      `exit code 3; the disk that holds ${join(dir, 'agent')} was full then: free some space there`,
    )
    expect(factory.millwright('delete', 'job', 'flood').status).toBe(0)
    await until(() => statfsSync(disk.dir).bfree > 0)
    expect(factory.millwright('run', '--', 'echo', 'hello').stdout).toBe('hello\n')
  })
})
