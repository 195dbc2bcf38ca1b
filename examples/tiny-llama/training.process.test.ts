import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBench, type Worker } from './fixture.ts'

let bench: Awaited<ReturnType<typeof openBench>>
beforeAll(async () => {
  bench = await openBench()
})
afterAll(() => bench.close())

describe('the trainer', () => {
  it('gives the same losses with n workers as with one and n times the batch, within float error', async () => {
    const one = await losses('one', 1, ['--batch', '6', '--steps', '12'])
    const two = await losses('two', 2, ['--batch', '3', '--steps', '12'])
    const three = await losses('three', 3, ['--batch', '2', '--steps', '12'])
    expect(one).toHaveLength(12)
    for (const other of [two, three]) {
      expect(other).toHaveLength(12)
      const differences = other.map((loss, step) => Math.abs(loss - (one[step] ?? 0)))
      expect(Math.max(...differences)).toBeLessThan(1e-4)
    }
  })

  it('goes on with more or fewer workers than it began with, as one does that changes its batch', async () => {
    const sized = async (name: string, parts: readonly { workers: number; batch: number; stop: number }[]) => {
      const checkpoints = join(bench.folder, `sized-${name}`)
      const found: number[] = []
      for (const { workers, batch, stop } of parts) {
        const control = join(bench.folder, `sized-${name}-${stop}.json`)
        ask(control, { checkpoint: { step: stop }, stop: { step: stop } })
        const flags = ['--batch', String(batch), '--steps', '12', '--checkpoints', checkpoints]
        found.push(...(await losses(`sized-${name}-${stop}`, workers, flags, { MILLWRIGHT_CONTROL: control })))
      }
      return found
    }
    const shrunkAndGrown = [
      { workers: 2, batch: 3, stop: 4 },
      { workers: 1, batch: 3, stop: 8 },
      { workers: 3, batch: 3, stop: 12 },
    ]
    const many = await sized('many', shrunkAndGrown)
    const one = await sized(
      'one',
      shrunkAndGrown.map(({ workers, batch, stop }) => ({ workers: 1, batch: workers * batch, stop })),
    )
    expect(many).toHaveLength(12)
    const differences = many.map((loss, step) => Math.abs(loss - (one[step] ?? 0)))
    expect(Math.max(...differences)).toBeLessThan(1e-4)
  })

  it('lowers the loss', async () => {
    const curve = await losses('curve', 1, ['--batch', '4', '--steps', '80'])
    const mean = (part: number[]) => part.reduce((sum, loss) => sum + loss, 0) / part.length
    expect(curve[0]).toBeGreaterThan(5)
    expect(mean(curve.slice(-10))).toBeLessThan(3.2)
  })

  it('killed at once and resumed, equals the undisturbed run bit for bit', async () => {
    const undisturbed = join(bench.folder, 'undisturbed')
    const killed = join(bench.folder, 'killed')
    const flags = ['--batch', '2', '--steps', '24', '--checkpoint-every', '8']
    await losses('whole', 2, [...flags, '--checkpoints', undisturbed])
    const victims = await bench.start('victim', 2, [...flags, '--checkpoints', killed, '--step-delay', '20'])
    await until(victims, () => victims[0]?.progress().some(({ step }) => step === 11))
    victims[0]?.child.kill('SIGKILL')
    await ended(victims)
    // Rank 1 finds no checkpoint of its own and takes rank 0's state.
    const resumed = await bench.start('resumed', 2, flags, (rank) =>
      rank === 0 ? { MILLWRIGHT_CHECKPOINT_DIR: killed } : {},
    )
    expect(await ended(resumed)).toEqual([0, 0])
    for (const worker of resumed) expect(worker.progress()[0]).toEqual({ restored: 8 })
    for (const step of [16, 24]) {
      const bytes = (folder: string) => readFileSync(join(folder, `step-${step}`, 'state.bin'))
      expect(bytes(killed).equals(bytes(undisturbed))).toBe(true)
    }
  })

  it('grants what the control file asks at one step on all ranks, even if only one has read it', async () => {
    const control = join(bench.folder, 'control.json')
    const checkpoints = join(bench.folder, 'asked')
    const output = join(bench.folder, 'none')
    const flags = ['--batch', '1', '--steps', '100000', '--checkpoint-every', '100000', '--step-delay', '10']
    const workers = await bench.start('told', 2, [...flags, '--checkpoints', checkpoints, '--out', output], (rank) =>
      rank === 1 ? { MILLWRIGHT_CONTROL: control } : {},
    )
    const steps = () => workers[0]?.progress().length ?? 0
    const saved = () => workers[0]?.progress().flatMap(({ step, checkpoint }) => (checkpoint ? [step] : []))
    await until(workers, steps)
    ask(control, { checkpoint: { step: 1 } }) // too late already: granted as soon as all know
    await until(workers, () => saved()?.length)
    const early = saved()?.[0] ?? 0
    const stop = steps() + 200
    ask(control, { checkpoint: { step: stop }, stop: { step: stop } })
    expect(await ended(workers)).toEqual([0, 0])
    expect(early).toBeGreaterThan(1)
    expect(saved()).toEqual([early, stop])
    for (const worker of workers) expect(worker.progress().at(-1)).toEqual({ stopped: stop })
    expect(existsSync(join(checkpoints, `step-${stop}`, 'state.bin'))).toBe(true)
    expect(existsSync(output)).toBe(false)
  })

  it('finishes its step on SIGTERM, all ranks the same one, and exits 143', async () => {
    const workers = await bench.start('terminated', 2, ['--batch', '1', '--steps', '100000'])
    await until(workers, () => workers[0]?.progress().length)
    workers[1]?.child.kill('SIGTERM')
    expect(await ended(workers)).toEqual([143, 143])
    const [steps = [], others] = workers.map((worker) => worker.progress().map(({ step }) => step))
    expect(steps).toEqual(others)
  })

  it('names the peer that died, and exits 1', async () => {
    const workers = await bench.start('orphan', 3, ['--batch', '1', '--steps', '100000', '--step-delay', '100'])
    await until(workers, () => workers[0]?.progress().length)
    workers[1]?.child.kill('SIGKILL')
    expect(await ended(workers)).toEqual([1, null, 1])
    expect(workers[0]?.output()).toMatch(/peer rank [12] went away/)
  })

  it('exports model and metrics when time is up, and says what it read', async () => {
    const out = join(bench.folder, 'out')
    const [worker] = await bench.start('timed', 1, ['--batch', '1', '--seconds', '1', '--out', out])
    expect(await worker?.ended).toBe(0)
    expect(worker?.output()).toContain('text: 1 text file')
    expect(readFileSync(join(out, 'model.gguf')).subarray(0, 4).toString()).toBe('GGUF')
    const metrics = JSON.parse(readFileSync(join(out, 'metrics.json'), 'utf8'))
    expect(metrics).toMatchObject({ worldSize: 1, tokens: metrics.steps * 32, parameters: 26976 })
    expect(metrics.datasetSha256).toMatch(/^[0-9a-f]{64}$/)
  })
})

/** As the agent does: whole, then renamed. */
function ask(path: string, wish: object): void {
  writeFileSync(`${path}.fresh`, JSON.stringify(wish))
  renameSync(`${path}.fresh`, path)
}

async function losses(
  name: string,
  ranks: number,
  flags: readonly string[],
  env: Record<string, string> = {},
): Promise<number[]> {
  const workers = await bench.start(name, ranks, flags, () => env)
  expect(await ended(workers), workers.map((worker) => worker.output()).join('')).toEqual(workers.map(() => 0))
  return workers[0]?.progress().flatMap(({ loss }) => (loss === undefined ? [] : [loss])) ?? []
}

const ended = (workers: readonly Worker[]) => Promise.all(workers.map((worker) => worker.ended))

/** Waits for what the workers shall do; one that ends instead is shown. */
async function until(workers: readonly Worker[], done: () => unknown): Promise<void> {
  const early = workers.map(async (worker) => {
    const code = await worker.ended
    if (!done()) throw new Error(`a worker ended with ${code}: ${worker.output()}`)
  })
  await Promise.race([expect.poll(() => Boolean(done()), { timeout: 60_000, interval: 10 }).toBe(true), ...early])
}
