import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Player } from './hunt/player.ts'
import type { Told } from './hunt/told.ts'
import { bundleHunt, plantedSources } from './planted/bundle.ts'
import type { Row } from './row.ts'

/** Of all planted bugs, in per cent. */
const foundMin = 95
const folder = 'dist/planted'

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
    const without = hunted.violation === undefined ? undefined : (await hunt(soundFile, hunted.seed, 0)).violation
    const ok = hunted.violation !== undefined && without === undefined
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

function said({ violation, seed }: Hunted, from: number, without: Hunted['violation']): string {
  const histories = seed - from + 1
  if (violation === undefined) return `not found in ${histories} histories`
  if (without !== undefined)
    return `seed ${seed} breaks ${without.rule} with nothing planted as well: ${without.message}`
  return `${violation.rule}, history ${histories}: ${violation.message}`
}

interface Hunted extends Pick<Told, 'violation' | 'cpuSeconds'> {
  /** The last that was played. */
  seed: number
}

/** Plays histories from seed `from` on in a process of its own, for so much CPU time or until a rule is broken; at least one. */
async function hunt(file: string, from: number, seconds: number): Promise<Hunted> {
  const player = new Player(file)
  const stop = (): never => {
    player.kill()
    process.exit(130)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  try {
    for (let seed = from; ; seed++) {
      const told = await player.play({ seed })
      if (told.violation !== undefined || told.cpuSeconds >= seconds) return { ...told, seed }
    }
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
    player.end()
  }
}
