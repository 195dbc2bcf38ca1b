import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newestCheckpoint, type State, saveCheckpoint, sweep } from './checkpoint.ts'
import { clean, readCorpus, sequenceAt } from './corpus.ts'
import { jobFromEnvironment, watchWishes } from './job.ts'
import { readOptions } from './options.ts'
import { decode, encode } from './tokens.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tiny-llama-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('a checkpoint', () => {
  it('is read as it was written, the newest first', () => {
    for (const step of [9, 10]) saveCheckpoint(folder, stateAt(step), { seed: 1 })
    expect(newestCheckpoint(folder, 3)).toEqual(stateAt(10))
    expect(readdirSync(folder).sort()).toEqual(['step-10', 'step-9'])
  })

  it('that is damaged is passed over, and written anew when its step comes again', () => {
    for (const step of [1, 2, 3]) saveCheckpoint(folder, stateAt(step), {})
    truncateSync(join(folder, 'step-3', 'state.bin'), 30)
    writeFileSync(join(folder, 'step-2', 'meta.json'), '{"step":')
    const skipped: string[] = []
    expect(newestCheckpoint(folder, 3, (place, why) => skipped.push(`${place.slice(-6)}: ${why}`))).toEqual(stateAt(1))
    expect(skipped).toEqual(['step-3: state.bin has 30 bytes instead of 36', 'step-2: meta.json cannot be read'])
    saveCheckpoint(folder, stateAt(3), {})
    expect(newestCheckpoint(folder, 3)).toEqual(stateAt(3))
  })

  it('of another model is an error that says what to do', () => {
    saveCheckpoint(folder, stateAt(1), {})
    expect(() => newestCheckpoint(folder, 4)).toThrow('with 3 parameters; this one has 4. Use the same sizes')
  })

  it('that a crash left half written is swept away', () => {
    mkdirSync(join(folder, 'step-5.tmp'))
    saveCheckpoint(folder, stateAt(4), {})
    expect(newestCheckpoint(folder, 3)?.step).toBe(4)
    sweep(folder)
    expect(readdirSync(folder)).toEqual(['step-4'])
  })

  it('is not looked for where no folder is', () => {
    expect(newestCheckpoint(join(folder, 'none'), 3)).toBeUndefined()
  })
})

describe('the text', () => {
  it('is the same for the same files, whatever else is beside them', () => {
    writeFileSync(join(folder, 'b.md'), 'Beta. '.repeat(500))
    mkdirSync(join(folder, 'a'))
    writeFileSync(join(folder, 'a', 'z.txt'), 'Alpha. '.repeat(500))
    writeFileSync(join(folder, 'picture.png'), Buffer.from([1, 0, 2]))
    writeFileSync(join(folder, '.hidden.md'), 'no')
    const corpus = readCorpus(folder, 16)
    expect(corpus.description).toBe(`2 text files under ${folder}, 0.01 MB`)
    expect(Buffer.from(decode([...corpus.train.subarray(0, 6)])).toString()).toBe('Alpha.')
    expect(readCorpus(folder, 16).sha256).toBe(corpus.sha256)
    const share = corpus.heldOut.length / (corpus.train.length + corpus.heldOut.length)
    expect(share).toBeCloseTo(0.05, 2)
  })

  it('that is missing or too short is an error that says how much is needed', () => {
    expect(() => readCorpus(join(folder, 'none'), 16)).toThrow('there is no ')
    writeFileSync(join(folder, 'short.txt'), 'short')
    expect(() => readCorpus(folder, 16)).toThrow('has 6 bytes; a context of 16 needs at least 360')
  })

  it('has no tables, no runs of blanks, no embedded images', () => {
    expect(clean(`a  b\r\n| x | y |\n\n\n\n\nc ${'A'.repeat(300)} d\n`)).toBe('a b\n\nc d')
  })

  it('is drawn from by seed, step and index alone, over its whole length', () => {
    const tokens = Int32Array.from({ length: 40 }, (_, i) => i)
    const starts = Array.from({ length: 2000 }, (_, i) => sequenceAt(tokens, 8, 1, i >> 3, i & 7)[0])
    expect(new Set(starts).size).toBe(33)
    expect(sequenceAt(tokens, 8, 1, 5, 3)).toEqual(sequenceAt(tokens, 8, 1, 5, 3))
  })

  it('comes back from its tokens', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    expect(decode([...encode(bytes)])).toEqual(bytes)
  })
})

describe('the environment', () => {
  it('is not needed', () => {
    expect(jobFromEnvironment({})).toMatchObject({ rank: 0, worldSize: 1, masterAddr: '127.0.0.1', masterPort: 29500 })
  })

  it('names a data folder only when there is something in it', () => {
    const dataDir = () => jobFromEnvironment({ MILLWRIGHT_DATA_DIR: join(folder, 'data') }).dataDir
    expect(dataDir()).toBeUndefined()
    mkdirSync(join(folder, 'data'))
    expect(dataDir()).toBeUndefined()
    writeFileSync(join(folder, 'data', 'book.txt'), 'text')
    expect(dataDir()).toBe(join(folder, 'data'))
  })

  it('is refused by name, with what is allowed', () => {
    expect(() => jobFromEnvironment({ WORLD_SIZE: '2', RANK: '2' })).toThrow(
      'RANK: found "2"; allowed are whole numbers from 0 to 1',
    )
  })

  it('has a control file that is looked at every 100 ms, and read when it changes', () => {
    const path = join(folder, 'control.json')
    let now = 0
    const wishes = watchWishes(path, () => now)
    expect(wishes()).toEqual({ checkpoint: 0, stop: 0 })
    writeFileSync(path, '{"checkpoint":{"step":7},"stop":{"step":7}}')
    expect(wishes()).toEqual({ checkpoint: 0, stop: 0 })
    now = 100
    expect(wishes()).toEqual({ checkpoint: 7, stop: 7 })
    writeFileSync(path, '{"checkpoint":')
    utimesSync(path, 1, 1)
    now = 200
    expect(wishes()).toEqual({ checkpoint: 7, stop: 7 })
    writeFileSync(path, '{"checkpoint":{"step":-1},"stop":{"step":"x"}}')
    now = 300
    expect(wishes()).toEqual({ checkpoint: 0, stop: 0 })
  })
})

describe('an option', () => {
  it('that is unknown gets the nearest name', () => {
    expect(() => readOptions(['--step', '5'])).toThrow('there is no option --step; the nearest is --steps')
    expect(() => readOptions(['--learning-rate=1'])).toThrow('there is no option --learning-rate')
    expect(() => readOptions(['words'])).toThrow('"words"')
  })

  it('that is out of range says what is allowed', () => {
    expect(() => readOptions(['--batch', '0'])).toThrow('--batch: found "0"; allowed are whole numbers from 1 to 4096')
    expect(() => readOptions(['--heads', '3'])).toThrow('--width 64 must be --heads 3 times an even number')
  })

  it('has a default', () => {
    expect(readOptions([])).toMatchObject({ steps: 400, batch: 4, context: 128, rate: 8e-3, checkpointEvery: 25 })
    expect(readOptions(['--lr', '1e-3', '--help'])).toBe('help')
  })
})

function stateAt(step: number): State {
  return {
    step,
    tokens: step * 512,
    losses: [3.25, 0.1 + 0.2],
    parameters: Float32Array.of(1, -0, step),
    optimiser: { m: Float32Array.of(0.1, 0.2, 0.3), v: Float32Array.of(1e-30, 2, 3) },
  }
}
