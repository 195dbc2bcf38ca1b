import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'

/** dist/examples/tiny-llama/train.js, beside the built demo. */
const trainer = join(dirname(fileURLToPath(import.meta.url)), '..', 'tiny-llama', 'train.js')

/** The job that a person would write by hand; it is printed and kept in the demo's folder. */
export function jobFile(wanted: {
  workers: number
  steps: number
  seconds: number
  data?: string | undefined
  often: boolean
}): string {
  if (wanted.data !== undefined && !existsSync(wanted.data)) throw new Error(`--data: there is no ${wanted.data}`)
  const text = wanted.data === undefined ? [] : ['--data', resolve(wanted.data)]
  return stringify({
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'tiny-llama' },
    spec: {
      workers: wanted.workers,
      command: [
        process.execPath,
        trainer,
        '--steps',
        String(wanted.steps),
        '--seconds',
        String(wanted.seconds),
        '--checkpoint-every',
        wanted.often ? '10' : '25',
        ...text,
      ],
      resources: { accelerators: 'cpu:1' },
      checkpoint: { keep: 2 },
      maxRestarts: 10,
      output: { model: 'tiny-llama' },
    },
  })
}

export function serviceFile(): string {
  return stringify({
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'InferenceService',
    metadata: { name: 'tiny-chat' },
    spec: { model: 'tiny-llama', engine: 'llama.cpp', minReplicas: 0, maxReplicas: 1, scaleDownSeconds: 3 },
  })
}
