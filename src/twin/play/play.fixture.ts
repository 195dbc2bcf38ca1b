import { formatErrors } from '../../compile/documents.ts'
import { readScenario } from '../scenario/read.ts'
import { resourcesNamed, type Setup, setupOf } from '../scenario/setup.ts'
import { playScenario } from './play.ts'
import type { Recording } from './recording.ts'

const times = 'prepare: 60s, restore: 30s, init: 30s, stall: 5s, persist: 60s, stepTime: 5s'

/** A scenario of two nodes, or more, and a job on both of them. */
export function setupOfTest(spec = '', work = job, { horizon = '2h', performance = times, nodes = 2 } = {}): Setup {
  const text = `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: {name: test}
spec:
  horizon: ${horizon}
  fleet: [{name: n, count: ${nodes}, accelerators: H100:8}]
  resources: [work.yaml]
  performance: {${performance}}
${spec}`
  return setupOfText(text, work)
}

/** A scenario all of whose files of resources say `work`; throws where one of the two is wrong. */
export function setupOfText(text: string, work: string, traces?: Parameters<typeof setupOf>[3]): Setup {
  const read = readScenario({ name: 'scenario.yaml', text })
  if ('errors' in read) throw new Error(formatErrors(read.errors))
  const files = resourcesNamed(read).map(({ path, atMs }) => ({ name: path, atMs, text: work }))
  const made = setupOf(read, files, [], traces)
  if ('errors' in made) throw new Error(formatErrors(made.errors))
  return made.setup
}

export const job = `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: {name: big}
spec:
  command: train
  workers: 2
  resources: {accelerators: H100:8}
  checkpoint: {interval: 10m}
  expectedSeconds: 3600
`

export async function recordingOf(setup: Setup, seed: number): Promise<Recording> {
  const played = await playScenario(setup, seed)
  if (played.kind !== 'played') throw new Error(JSON.stringify(played))
  return played.recording
}
