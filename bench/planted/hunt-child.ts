import { play } from '../../src/twin/hunt/play.ts'
import type { Told } from './told.ts'

/** `hunt-child.js FROM CPU-SECONDS`: plays seeds until a rule is broken or the time is over, at
 * least one, and tells of each on a line. */
const [from = 1, secondsMax = 60] = process.argv.slice(2).map(Number)

for (let seed = from; seed === from || cpuSeconds() < secondsMax; seed++) {
  const broken = await rulesBrokenBy(seed)
  const told: Told = { seed, broken, cpuSeconds: cpuSeconds() }
  console.log(JSON.stringify(told))
  if (broken !== undefined) break
}

async function rulesBrokenBy(seed: number): Promise<Told['broken']> {
  try {
    const [first] = (await play(seed)).violations
    return first === undefined ? undefined : { rule: first.invariant, message: first.message }
  } catch (error) {
    return { rule: 'assertions', message: error instanceof Error ? error.message : String(error) }
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
