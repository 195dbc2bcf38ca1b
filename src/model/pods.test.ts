import { expect, test } from 'vitest'
import { envList, mergeEnv } from './env.ts'
import { inferenceService } from './kinds/inference-service.ts'
import { trainingJob } from './kinds/training-job.ts'
import { bindingAnnotations, gangGroups, groupsOf, rendezvousEnv, templateOf, withEnv } from './pods.ts'

const job = (spec: object) =>
  trainingJob.parse({
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'tiny', namespace: 'default' },
    spec,
  })
const service = (spec: object) =>
  inferenceService.parse({
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'InferenceService',
    metadata: { name: 'chat', namespace: 'default' },
    spec,
  })

test('an elastic job has a floor: in its one group, or in each of several', () => {
  const sizes = (spec: Record<string, unknown>) =>
    gangGroups(groupsOf(job(spec))).map(({ name, min, max }) => `${name} ${min}-${max}`)
  expect(sizes({ command: 'x', workers: 8, minWorkers: 2 })).toEqual(['worker 2-8'])
  expect(sizes({ command: 'x', workers: 8 })).toEqual(['worker 8-8'])
  const template = { spec: { containers: [{ name: 'a' }] } }
  const groups = [
    { name: 'learner', template },
    { name: 'actor', replicas: 4, minReplicas: 1, template },
  ]
  expect(sizes({ groups })).toEqual(['learner 1-1', 'actor 1-4'])
})

test('workers, command, env and resources are one group', () => {
  const groups = groupsOf(
    job({
      workers: 2,
      command: 'node train.js --lr 0.1',
      env: { LR: 0.1, DEBUG: true },
      resources: { accelerators: 'h100:8', cpu: 0.5, memory: '8Gi' },
    }),
  )
  expect(groups).toEqual([
    {
      name: 'worker',
      replicas: 2,
      template: {
        metadata: { labels: {}, annotations: { 'millwright.dev/accelerators': 'H100:8' } },
        spec: {
          restartPolicy: 'Never',
          schedulerName: 'millwright',
          terminationGracePeriodSeconds: 30,
          containers: [
            {
              name: 'main',
              command: ['/bin/sh', '-c', 'node train.js --lr 0.1'],
              env: [
                { name: 'LR', value: '0.1' },
                { name: 'DEBUG', value: 'true' },
              ],
              resources: {
                limits: { memory: '8Gi', 'nvidia.com/gpu': '8' },
                requests: { cpu: '500m', memory: '8Gi' },
              },
            },
          ],
        },
      },
    },
  ])
  expect(gangGroups(groups)).toEqual([
    {
      name: 'worker',
      min: 2,
      max: 2,
      accelerators: [{ model: 'H100', count: 8 }],
      cpuMilli: 500,
      memoryBytes: 8 * 1024 * 1024 * 1024,
      ports: 1,
      nodeSelector: {},
      tolerations: [],
    },
  ])
})

test('a template that names no accelerator asks for one cpu slot', () => {
  const [group] = gangGroups(groupsOf(job({ command: ['true'] })))
  expect(group).toMatchObject({ accelerators: [{ model: 'cpu', count: 1 }], cpuMilli: 0, memoryBytes: 0, min: 1 })
})

test('alternatives that a kubelet cannot count stay out of its limits', () => {
  const [group] = groupsOf(job({ command: ['x'], resources: { accelerators: ['H100:8', 'A100:4'] } }))
  expect(group?.template.spec.containers[0]?.resources?.limits).toEqual({})
  expect(gangGroups(group === undefined ? [] : [group])[0]?.accelerators).toEqual([
    { model: 'H100', count: 8 },
    { model: 'A100', count: 4 },
  ])
})

test("whole templates keep what they say; Kubernetes' resources are read", () => {
  const groups = groupsOf(
    job({
      groups: [
        {
          name: 'trainer',
          replicas: 4,
          template: {
            spec: {
              restartPolicy: 'Always',
              nodeSelector: { 'nvidia.com/gpu.product': 'NVIDIA-A100-SXM4-80GB' },
              tolerations: [{ key: 'nvidia.com/gpu' }],
              initContainers: [{ name: 'fetch', resources: { requests: { cpu: '4' } } }],
              containers: [
                { name: 'a', resources: { limits: { 'nvidia.com/gpu': 8, cpu: '2' } }, ports: [{ containerPort: 1 }] },
                { name: 'b', resources: { requests: { cpu: '500m', memory: '1Gi' } }, ports: [{ containerPort: 2 }] },
              ],
            },
          },
        },
        {
          name: 'reader',
          template: { spec: { containers: [{ name: 'r', resources: { limits: { 'nvidia.com/gpu': '1' } } }] } },
        },
      ],
    }),
  )
  expect(groups[0]?.template.spec.restartPolicy).toBe('Never')
  expect(gangGroups(groups)).toMatchObject([
    {
      accelerators: [{ model: 'A100-80GB', count: 8 }],
      cpuMilli: 4000,
      memoryBytes: 1024 * 1024 * 1024,
      ports: 2,
      min: 4,
    },
    { name: 'reader', accelerators: [{ model: 'gpu', count: 1 }] },
  ])
})

test('a service with an engine runs it, with a port and a probe', () => {
  const container = templateOf(service({ model: 'tiny', engine: 'llama.cpp', args: ['--ctx', '512'] })).spec
    .containers[0]
  expect(container).toMatchObject({
    command: ['millwright-engine', 'llama.cpp'],
    args: ['--ctx', '512'],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/health', port: 'http' } },
  })
})

test("a service's own template keeps its port; the default probe asks that one", () => {
  const container = templateOf(
    service({ template: { spec: { containers: [{ name: 'vllm', ports: [{ containerPort: 8000 }] }] } } }),
  ).spec.containers[0]
  expect(container).toMatchObject({ ports: [{ containerPort: 8000 }], readinessProbe: { httpGet: { port: 8000 } } })
  const probed = templateOf(service({ command: 'serve', readinessProbe: { tcpSocket: { port: 'http' } } }))
  expect(probed.spec.containers[0]?.readinessProbe).toEqual({ tcpSocket: { port: 'http' } })
})

test('every rendezvous variable is read from an annotation that the Binding carries', () => {
  const seat = {
    pod: 'p',
    group: 'g',
    rank: 3,
    localRank: 1,
    node: 'n',
    devices: [{ id: 'd1', milli: 1000 }],
    ports: [9, 8],
  }
  const seats = { attempt: 1, epoch: 7, at: '', masterAddr: '127.0.0.1', masterPort: 9, members: [seat, seat] }
  const carried = bindingAnnotations(seats, seat, 'GPU-1')
  const env = rendezvousEnv().map(({ name, valueFrom }) => {
    const key = /^metadata\.annotations\['(.*)'\]$/.exec(valueFrom?.fieldRef?.fieldPath ?? '')?.[1]
    return `${name}=${carried[key ?? '']}`
  })
  expect(env).toEqual([
    'MASTER_ADDR=127.0.0.1',
    'MASTER_PORT=9',
    'WORLD_SIZE=2',
    'RANK=3',
    'LOCAL_RANK=1',
    'CUDA_VISIBLE_DEVICES=GPU-1',
    'PORT=9',
  ])
})

test("what the user sets wins over what we set, and keeps our entry's place", () => {
  const template = {
    spec: {
      containers: [
        {
          name: 'm',
          env: [
            { name: 'RANK', value: '0' },
            { name: 'X', value: '$(RANK)' },
          ],
        },
      ],
    },
  }
  expect(withEnv(template, rendezvousEnv()).spec.containers[0]?.env?.slice(3)).toMatchObject([
    { name: 'RANK', value: '0' },
    { name: 'LOCAL_RANK' },
    { name: 'CUDA_VISIBLE_DEVICES' },
    { name: 'PORT' },
    { name: 'X' },
  ])
  expect(mergeEnv(envList({ A: 1 }), envList([{ name: 'A', value: '2' }]))).toEqual([{ name: 'A', value: '2' }])
  expect(envList(undefined)).toEqual([])
})
