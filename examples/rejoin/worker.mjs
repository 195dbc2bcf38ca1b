// A worker that goes on without others and takes in who comes (failurePolicy.restart: worker), with nothing but Node. Each has
// the whole state, which is a step number here. It makes each step together with those who answer, and whoever starts while
// others run gets the state from one of them. Of those who answer the lowest rank saves.

import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

const { PORT, STEPS = '2000', MILLWRIGHT_PROGRESS, MILLWRIGHT_CONTROL, MILLWRIGHT_CHECKPOINT_DIR: saved } = process.env
const rank = Number(process.env.RANK)
const tell = (line) => appendFileSync(MILLWRIGHT_PROGRESS, `${JSON.stringify(line)}\n`)

/** What the control plane says now: who works together, and at which step a checkpoint is wanted. */
function told() {
  try {
    return JSON.parse(readFileSync(MILLWRIGHT_CONTROL, 'utf8'))
  } catch {
    return {}
  }
}

const others = () => (told().members ?? []).filter((member) => member.rank !== rank)

/** The state of another worker; undefined while it is not there. */
async function stateOf({ address, ports }) {
  try {
    const answer = await fetch(`http://${address}:${ports[0]}`, { signal: AbortSignal.timeout(500) })
    return await answer.json()
  } catch {
    return undefined
  }
}

function save(step) {
  mkdirSync(`${saved}/half`)
  writeFileSync(`${saved}/half/state`, String(step))
  renameSync(`${saved}/half`, `${saved}/step-${step}`)
}

let step = Math.max(0, ...readdirSync(saved).map((name) => Number(name.slice('step-'.length)) || 0))
let from = step > 0 ? 'the last checkpoint' : 'the beginning'
createServer((_, answer) => answer.end(JSON.stringify({ step }))).listen(Number(PORT))
for (const other of others()) {
  const state = await stateOf(other)
  if (state?.step > step) [step, from] = [state.step, `rank ${other.rank}`]
}
console.log(`goes on after step ${step}, from ${from}`)

let handled = step
while (step < Number(STEPS)) {
  const began = performance.now()
  await pause(50)
  step++
  const answered = [rank]
  const waitedFrom = performance.now()
  for (const other of others()) {
    let state = await stateOf(other)
    while (state?.step > 0 && state.step < step) {
      await pause(5)
      state = await stateOf(other)
    }
    if (state !== undefined) answered.push(other.rank)
  }
  const regroupSeconds = (performance.now() - waitedFrom) / 1000
  tell({
    step,
    steps: Number(STEPS),
    seconds: (performance.now() - began) / 1000,
    ...(regroupSeconds > 1 ? { regroupSeconds } : {}),
  })
  const { checkpoint, stop } = told()
  const isAsked = checkpoint?.step > handled && step >= checkpoint.step
  if (isAsked && Math.min(...answered) === rank) save(step)
  if (isAsked) handled = step
  if (stop !== undefined && step >= stop.step) {
    tell({ stopped: step })
    break
  }
}
process.exit()
