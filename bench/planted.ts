import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { bundleHunt, plantedSources } from './planted/bundle.ts'
import type { Told } from './planted/told.ts'
import type { Row } from './row.ts'

/** Of all planted bugs, in per cent. */
const foundMin = 95
const folder = 'dist/planted'
/** No history takes nearly so long, however busy the machine is. */
const silentMsMax = 180_000

export interface Extent {
  names: readonly string[]
  /** CPU time that each may take to be found. */
  seconds: number
  /** The first seed; all of them are hunted with the same ones. */
  from: number
}

/**
 * Planted bugs: the hunt plays histories of the factory with one small defect in it, until a rule is broken. A row a bug, and
 * how many were found at the end. What finds a bug has to hold without it: the same history is played with nothing planted.
 */
export async function* plantedRows({ names, seconds, from }: Extent): AsyncGenerator<Row> {
  mkdirSync(folder, { recursive: true })
  const sources = names.map((name) => ({ name, changed: plantedSources(name) })) // all apply, or none is tried
  const soundFile = join(folder, 'sound.js')
  await bundleHunt(new Map(), soundFile)
  let found = 0
  let isSound = true
  for (const { name, changed } of sources) {
    const file = join(folder, `${name}.js`)
    await bundleHunt(changed, file)
    const hunted = await hunt(file, from, seconds)
    const without = hunted.broken === undefined ? undefined : (await hunt(soundFile, hunted.seed, 0.001)).broken
    const ok = hunted.broken !== undefined && without === undefined
    if (ok) found++
    isSound &&= without === undefined
    yield {
      row: `planted ${name}`,
      value: hunted.cpuSeconds,
      unit: 's',
      bar: '',
      ok,
      peer: said(hunted, from, without),
    }
  }
  const value = (100 * found) / Math.max(1, names.length)
  yield {
    row: 'planted bugs found',
    value,
    unit: '%',
    bar: `>= ${foundMin} %`,
    ok: value >= foundMin && isSound,
    peer: `found ${found} of ${names.length}`,
  }
}

function said({ broken, seed }: Told, from: number, without: Told['broken']): string {
  const histories = seed - from + 1
  if (broken === undefined) return `not found in ${histories} histories`
  if (without !== undefined)
    return `seed ${seed} breaks ${without.rule} with nothing planted as well: ${without.message}`
  return `${broken.rule}, history ${histories}: ${broken.message}`
}

/** Plays histories from seed `from` on in a process of its own, for so much CPU time or until a rule is broken; at least one. */
async function hunt(file: string, from: number, seconds: number): Promise<Told> {
  const child = spawn(process.execPath, [file, String(from), String(seconds)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const end = endWith(child)
  let last: Told | undefined
  let isSilent = false
  const watch = () =>
    setTimeout(() => {
      isSilent = true
      child.kill('SIGKILL')
    }, silentMsMax)
  let timer = watch()
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  for await (const line of createInterface({ input: child.stdout })) {
    last = JSON.parse(line) as Told
    clearTimeout(timer)
    timer = watch()
  }
  const code = await exited
  clearTimeout(timer)
  end()
  if (code === 0 && last !== undefined) return last
  const [rule, message] = isSilent ? ['stands still', 'no time passes any more'] : ['crash', `exit code ${code}`]
  return { seed: (last?.seed ?? from - 1) + 1, cpuSeconds: last?.cpuSeconds ?? 0, broken: { rule, message } }
}

/** Ctrl-C ends it with us. */
function endWith(child: ChildProcess): () => void {
  const stop = (): never => {
    child.kill('SIGKILL')
    process.exit(130)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  return () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
  }
}
