import { resolve } from 'node:path'
import OpenAI from 'openai'
import { type FactoryProcess, found, median, trainingJob, withFactory } from './factory-process.ts'
import type { Row } from './row.ts'

const wakes = 10

/** A tiny model is trained and published, and its service woken from zero again and again. */
export function rows(): Promise<Row[]> {
  return withFactory([], async (factory) => {
    await publish(factory)
    await factory.client.create('InferenceService', {
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'InferenceService',
      metadata: { name: 'tiny', namespace: 'default' },
      spec: { model: 'tiny', engine: 'llama.cpp', minReplicas: 0, maxReplicas: 1, scaleDownSeconds: 1 },
    })
    const took: number[] = []
    for (let round = 0; round < wakes; round++) {
      await atZero(factory)
      took.push(await firstTokenMs(factory))
    }
    const most = Math.max(...took)
    return [
      {
        row: `scale from zero to the first token, most of ${wakes}`,
        value: most,
        unit: 'ms',
        bar: '<= 2000 ms',
        ok: most <= 2000,
        peer: `median ${median(took).toFixed(0)} ms, first ${took[0]?.toFixed(0)} ms`,
      },
    ]
  })
}

async function publish({ client }: FactoryProcess): Promise<void> {
  const command = [process.execPath, resolve('dist/examples/tiny-llama/train.js'), '--steps', '30']
  await client.create('TrainingJob', trainingJob('tiny', command, 1, { output: { model: 'tiny' } }))
  await found('the model', 120, async () => {
    const job = await client.get('TrainingJob', { namespace: 'default', name: 'tiny' })
    if (job?.status?.phase === 'Failed') throw new Error('the trainer failed')
    return (await client.list('Model', { namespace: 'default' })).items[0]
  })
}

async function atZero({ client }: FactoryProcess): Promise<void> {
  await found('no replica', 60, async () => {
    const service = await client.get('InferenceService', { namespace: 'default', name: 'tiny' })
    const { items } = await client.list('Pod', { namespace: 'default', labels: 'millwright.dev/service=tiny' })
    const over = items.every(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed')
    return service?.status !== undefined && (service.status.replicas ?? 0) === 0 && over ? true : undefined
  })
}

/** The official client, streaming: until the first chunk that carries text. */
async function firstTokenMs({ gatewayUrl }: FactoryProcess): Promise<number> {
  const openai = new OpenAI({ baseURL: `${gatewayUrl}/v1`, apiKey: 'none', maxRetries: 0 })
  const startedAt = performance.now()
  const stream = await openai.completions.create({ model: 'tiny', prompt: 'The ', max_tokens: 8, stream: true })
  let tookMs: number | undefined
  for await (const chunk of stream) {
    if (tookMs === undefined && (chunk.choices[0]?.text ?? '') !== '') tookMs = performance.now() - startedAt
  }
  if (tookMs === undefined) throw new Error('the service said nothing')
  return tookMs
}
