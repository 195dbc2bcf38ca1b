import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { factoryIn, read, until } from './factory.fixture.ts'

/** Data, checkpoints and namespaces of one factory, as a user sees them. */
let dir = ''
let factory: ReturnType<typeof factoryIn>
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'millwright-data-'))
  factory = factoryIn(join(dir, 'home'), { cwd: dir })
})
beforeEach(async () => {
  if (factory.pid() === 0) await factory.up()
})
afterAll(async () => {
  await factory.stop('SIGINT')
  rmSync(dir, { recursive: true, force: true })
})

const team = (...words: string[]) => factory.millwright('-n', 'team', ...words)
function apply(name: string, ...documents: object[]) {
  const file = join(dir, name)
  writeFileSync(file, documents.map((document) => JSON.stringify(document)).join('\n---\n'))
  return factory.millwright('apply', '-f', file)
}
const ours = 'millwright.dev/v1alpha1'
// biome-ignore lint/suspicious/noExplicitAny: what a command printed
const shown = (...words: string[]): any => {
  const answer = team(...words, '-o', 'json')
  return answer.status === 0 ? JSON.parse(answer.stdout) : {}
}

describe('a namespace of a team', () => {
  it('is made first, has a dataset with its digest, and a model that says what it was made from', async () => {
    const book = join(dir, 'book.txt')
    writeFileSync(book, 'once upon a time')
    const metadata = { name: 'book', namespace: 'team' }
    const dataset = { apiVersion: ours, kind: 'Dataset', metadata, spec: { uri: `file://${book}` } }
    const refused = apply('alone.yaml', dataset)
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining('nothing was applied\nDataset/book: namespace team does not exist'),
    ])
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } }
    expect(apply('both.yaml', namespace, dataset).status).toBe(0)
    const digest = createHash('sha256').update('once upon a time').digest('hex')
    await until(() => shown('get', 'dataset', 'book').status?.digest === digest)
    expect(shown('get', 'dataset', 'book').status).toMatchObject({ bytes: 16, files: 1 })

    const command = 'tr a-z A-Z < "$MILLWRIGHT_DATA_DIR/book.txt" > "$MILLWRIGHT_OUTPUT_DIR/model.gguf"'
    const spec = { command, dataset: 'book', output: { model: 'loud' } }
    expect(
      apply('job.yaml', { apiVersion: ours, kind: 'TrainingJob', metadata: { ...metadata, name: 'shout' }, spec })
        .status,
    ).toBe(0)
    await until(() => shown('get', 'model', 'loud-v1').spec !== undefined)
    expect(shown('get', 'model', 'loud-v1').spec.lineage).toMatchObject({ dataset: 'book', datasetDigest: digest })
  })

  it('goes with all that runs in it', async () => {
    const pids = join(dir, 'pids')
    expect(
      team(
        'run',
        '--detach',
        '--name',
        'sleeper',
        '--workers',
        '2',
        '--',
        'sh',
        '-c',
        `echo $$ >> ${pids}; exec sleep 600`,
      ).status,
    ).toBe(0)
    const seen = () => read(pids).split('\n').filter(Boolean).map(Number)
    await until(() => seen().length === 2)
    const kept = factory.millwright('delete', 'namespace', 'default')
    expect([kept.status, kept.stderr]).toEqual([1, expect.stringContaining('may not be deleted')])
    expect(factory.millwright('delete', 'namespace', 'team').status).toBe(0)
    await until(() => factory.millwright('get', 'namespace', 'team').status === 3)
    expect(seen().filter(alive)).toEqual([])
    for (const kind of ['jobs', 'pods', 'gangs', 'datasets', 'models', 'reports'])
      expect(team('get', kind, '-o', 'name').stdout).toBe('')
  })
})

describe('a checkpoint that rots on the disk', () => {
  it('is skipped with an event, by every rank, and the job goes on from the one before it', async () => {
    const log = join(dir, 'starts')
    const go = join(dir, 'go')
    const script = join(dir, 'train.sh')
    mkdirSync(go)
    // Each rank writes two checkpoints of its own and then waits to be killed; the next attempt says what it found.
    writeFileSync(
      script,
      `cd "$MILLWRIGHT_CHECKPOINT_DIR"
echo "$RANK: $(cat step-*/part 2>/dev/null)" >> ${log}
if ls -d step-* >/dev/null 2>&1; then while [ ! -e ${go}/end ]; do sleep 0.05; done; exit 0; fi
for step in 1 2; do
  mkdir step-$step.tmp; echo "$step of $RANK" > step-$step.tmp/part; mv step-$step.tmp step-$step
  echo '{"step":'$step'}' >> "$MILLWRIGHT_PROGRESS"
  while [ ! -e ${go}/$step ]; do sleep 0.05; done
done
[ "$RANK" = 0 ] && exit 1
sleep 600
`,
    )
    const spec = { workers: 2, command: ['sh', script], checkpoint: { ranks: 'all' }, maxRestarts: 1 }
    expect(apply('rot.yaml', { apiVersion: ours, kind: 'TrainingJob', metadata: { name: 'rot' }, spec }).status).toBe(0)
    const committed = () => {
      const answer = factory.millwright('get', 'job', 'rot', '-o', 'json')
      return answer.status === 0 ? JSON.parse(answer.stdout).status?.checkpoint?.step : undefined
    }
    await until(() => committed() === 1)
    writeFileSync(join(go, '1'), '')
    await until(() => committed() === 2)
    damage('2 of 1\n')
    writeFileSync(join(go, '2'), '')
    await until(
      () =>
        read(log)
          .split('\n')
          .filter((line) => /: 1 of/.test(line)).length === 2,
    )
    const lines = () => read(log).split('\n').filter(Boolean).sort()
    // Rank 0 may have started from its own whole part of step 2; it was ended, and both went on from step 1.
    expect(lines().filter((line) => line.includes('1 of'))).toEqual(['0: 1 of 0', '1: 1 of 1'])
    expect(lines()).not.toContain('1: 2 of 1')
    expect(committed()).toBe(1)
    expect(factory.job('rot').status).toMatchObject({ restarts: 1 })
    const events = factory.millwright('get', 'events', '-o', 'json').stdout
    expect(events).toMatch(/CheckpointSkipped/)
    expect(events).toMatch(/the checkpoint of step 2 \(attempt 1\) is damaged: rank 1: part does not have the checksum/)
    writeFileSync(join(go, 'end'), '')
    await until(() => factory.phase('rot') === 'Succeeded')
  })

  /** Flips what the blob store holds of these bytes. */
  function damage(text: string): void {
    const blobs = join(dir, 'home/blobs/sha256')
    for (const folder of readdirSync(blobs)) {
      for (const name of readdirSync(join(blobs, folder))) {
        const path = join(blobs, folder, name)
        if (statSync(path).size === text.length && readFileSync(path, 'utf8') === text) writeFileSync(path, 'rotten\n')
      }
    }
  }
})

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
