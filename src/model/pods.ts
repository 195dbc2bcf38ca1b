import { type Accelerators, acceleratorsOf, anyGpu, cpuModel, formatAccelerators, oneSlot } from './accelerators.ts'
import { type CapacityType, capacityTypesOf } from './capacity.ts'
import { canonicalModel, modelOfProduct } from './catalogue.ts'
import { envList, mergeEnv } from './env.ts'
import type { Env, Resources } from './kinds/fields.ts'
import type { Gang, Seat } from './kinds/gang.ts'
import type { InferenceService } from './kinds/inference-service.ts'
import type { Container, EnvVar, PodTemplate, Probe } from './kinds/kubernetes.ts'
import type { Topology } from './kinds/topology.ts'
import type { TrainingJob } from './kinds/training-job.ts'
import { migModel, migProfile, migResource } from './mig.ts'
import { annotation, cpuSlot, gpuResource, label, schedulerName } from './names.ts'
import { bytesOf, countOf, formatBytes, formatMilli, milliOf } from './quantity.ts'

/** Members of one shape, all sugar resolved. */
export interface PodGroup {
  name: string
  replicas: number
  /** Fewest members that are of use; all of them where it is left out. */
  minReplicas?: number | undefined
  template: PodTemplate
  topology?: Topology | undefined
  /** In order of preference; any when left out. */
  capacityTypes?: readonly CapacityType[] | undefined
}
export type GangGroup = Gang['spec']['groups'][number]
export type Seats = NonNullable<NonNullable<Gang['status']>['seats']>

/** The job's groups as they run: the one-group sugar expanded, every pod to be seated by us and never restarted in place. */
export function groupsOf(job: TrainingJob): PodGroup[] {
  const { groups, workers = 1, minWorkers, terminationGracePeriodSeconds } = job.spec
  const written: readonly PodGroup[] = groups ?? [
    {
      name: 'worker',
      replicas: workers,
      minReplicas: minWorkers,
      template: { spec: { containers: [sugarContainer(job.spec)] } },
    },
  ]
  const { capacityType } = job.spec
  const capacity = capacityType === undefined ? {} : { capacityTypes: capacityTypesOf(capacityType) }
  return written.map(({ name, replicas, minReplicas, template, topology }) => ({
    ...capacity,
    name,
    replicas,
    minReplicas,
    topology,
    template: asMember(withResources(template, groups === undefined ? job.spec.resources : undefined), {
      terminationGracePeriodSeconds,
    }),
  }))
}

/** All members that a job is made for. */
export function workersOf(job: TrainingJob): number {
  return groupsOf(job).reduce((sum, { replicas }) => sum + replicas, 0)
}

/** One replica of the service: its own template, a built-in engine, or the sugar. */
export function templateOf(service: InferenceService): PodTemplate {
  const { spec } = service
  const template = spec.template ?? {
    spec: { containers: [sugarContainer({ ...spec, command: serverCommand(spec) })] },
  }
  const [server, ...beside] = template.spec.containers
  if (server === undefined) return template
  const containers = [served(server, spec), ...beside]
  return asMember(withResources({ ...template, spec: { ...template.spec, containers } }, spec.resources), {
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
  })
}

/** What the scheduler needs to know of each group. A template that names no accelerator asks for one `cpu` slot. */
export function gangGroups(groups: readonly PodGroup[]): GangGroup[] {
  return groups.map(({ name, replicas, minReplicas = replicas, template, topology, capacityTypes }) => {
    const { spec } = template
    const { affinity, topologySpreadConstraints } = spec
    const labels = template.metadata?.labels
    return {
      name,
      min: minReplicas,
      max: replicas,
      accelerators: acceleratorsOfTemplate(template),
      cpuMilli: podRequest(template, 'cpu', milliOf),
      memoryBytes: podRequest(template, 'memory', bytesOf),
      ports: Math.max(1, sum(spec.containers.map((container) => container.ports?.length ?? 0))),
      nodeSelector: spec.nodeSelector ?? {},
      tolerations: spec.tolerations ?? [],
      ...(affinity === undefined ? {} : { affinity }),
      ...(topologySpreadConstraints === undefined ? {} : { topologySpreadConstraints }),
      ...(labels === undefined || Object.keys(labels).length === 0 ? {} : { labels }),
      ...(topology === undefined ? {} : { topology }),
      ...(capacityTypes === undefined ? {} : { capacityTypes: [...capacityTypes] }),
    }
  })
}

/**
 * torchrun's rendezvous and where the pod sits, read from what the Binding annotates (`bindingAnnotations`): the seats
 * are not known yet when the pod is made.
 */
export function rendezvousEnv(): EnvVar[] {
  const from: [string, string][] = [
    ['MASTER_ADDR', annotation.masterAddr],
    ['MASTER_PORT', annotation.masterPort],
    ['WORLD_SIZE', annotation.worldSize],
    ['RANK', annotation.rank],
    ['LOCAL_RANK', annotation.localRank],
    ['CUDA_VISIBLE_DEVICES', annotation.visibleDevices],
    ['PORT', annotation.port],
  ]
  return from.map(([name, key]) => ({ name, valueFrom: { fieldRef: { fieldPath: `metadata.annotations['${key}']` } } }))
}

/**
 * The annotations that a seated member's Binding carries. `visibleDevices` is what CUDA_VISIBLE_DEVICES becomes; `peer`, the
 * node that keeps a copy of its checkpoints beside its own (`peersOf`), where one is to.
 */
export function bindingAnnotations(
  seats: Seats,
  seat: Seat,
  visibleDevices: string,
  peer?: string,
): Record<string, string> {
  return {
    ...(peer === undefined ? {} : { [annotation.peerNode]: peer }),
    [annotation.rank]: String(seat.rank),
    [annotation.localRank]: String(seat.localRank),
    [annotation.worldSize]: String(seats.members.length),
    [annotation.devices]: seat.devices.map((device) => device.id).join(','),
    [annotation.visibleDevices]: visibleDevices,
    [annotation.ports]: seat.ports.join(','),
    [annotation.port]: String(seat.ports[0] ?? ''),
    [annotation.masterAddr]: seats.masterAddr,
    [annotation.masterPort]: String(seats.masterPort),
    [annotation.epoch]: String(seats.epoch),
  }
}

/** `env` before each container's own: what the user sets wins, and may refer to ours as `$(RANK)`. */
export function withEnv(template: PodTemplate, env: readonly EnvVar[]): PodTemplate {
  const containers = template.spec.containers.map((container) => ({
    ...container,
    env: mergeEnv(env, container.env ?? []),
  }))
  return { ...template, spec: { ...template.spec, containers } }
}

export function withLabels(
  template: PodTemplate,
  labels: Record<string, string>,
  annotations: Record<string, string> = {},
): PodTemplate {
  const metadata = {
    ...template.metadata,
    labels: { ...template.metadata?.labels, ...labels },
    annotations: { ...template.metadata?.annotations, ...annotations },
  }
  return { ...template, metadata }
}

interface Sugar {
  command?: string | string[] | undefined
  args?: string[] | undefined
  image?: string | undefined
  workingDir?: string | undefined
  env?: Env | undefined
}

function sugarContainer({ command, args, image, workingDir, env }: Sugar): Container {
  return {
    name: 'main',
    ...(image === undefined ? {} : { image }),
    ...(command === undefined ? {} : { command: commandList(command) }),
    ...(args === undefined ? {} : { args }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(env === undefined ? {} : { env: envList(env) }),
  }
}

/** A string is a line for the shell; a list is executed as it is. */
export function commandList(command: string | string[]): string[] {
  return typeof command === 'string' ? ['/bin/sh', '-c', command] : command
}

function serverCommand(spec: InferenceService['spec']): string | string[] | undefined {
  return spec.command ?? (spec.engine === undefined ? undefined : ['millwright-engine', spec.engine])
}

/** Where pods share the machine's address, the port that a server really gets is in `$(PORT)`. */
const httpPort = 'http'
const containerPortDefault = 8080
/** llama-server, vLLM, SGLang and our own engine all answer 200 here once they can serve. */
const readinessProbeDefault: Probe = { httpGet: { path: '/health', port: httpPort }, periodSeconds: 1 }

function served(container: Container, spec: InferenceService['spec']): Container {
  const readinessProbe = spec.readinessProbe ?? container.readinessProbe ?? readinessProbeDefault
  const livenessProbe = spec.livenessProbe ?? container.livenessProbe
  const ports = container.ports ?? [{ name: httpPort, containerPort: spec.port ?? containerPortDefault }]
  // A template may name its port as it likes; the default probe then asks the first one.
  const port = ports[0]?.name ?? ports[0]?.containerPort ?? httpPort
  return {
    ...container,
    ports,
    readinessProbe:
      readinessProbe === readinessProbeDefault
        ? { ...readinessProbe, httpGet: { path: '/health', port } }
        : readinessProbe,
    ...(livenessProbe === undefined ? {} : { livenessProbe }),
  }
}

function asMember(template: PodTemplate, { terminationGracePeriodSeconds }: { terminationGracePeriodSeconds: number }) {
  return {
    ...template,
    spec: { terminationGracePeriodSeconds, ...template.spec, restartPolicy: 'Never', schedulerName },
  }
}

/** Writes the `resources` sugar where Kubernetes looks for it, and the alternatives where it has no place for them. */
function withResources(template: PodTemplate, resources: Resources | undefined): PodTemplate {
  const [first, ...others] = template.spec.containers
  if (resources === undefined || first === undefined) return template
  const alternatives = resources.accelerators === undefined ? undefined : acceleratorsOf(resources.accelerators)
  const cpu = resources.cpu === undefined ? undefined : formatMilli(milliOf(resources.cpu))
  const memory = resources.memory === undefined ? undefined : formatBytes(bytesOf(resources.memory))
  const limits = {
    ...first.resources?.limits,
    ...(memory === undefined ? {} : { memory }),
    ...(alternatives === undefined ? {} : acceleratorLimit(alternatives)),
  }
  const requests = {
    ...first.resources?.requests,
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
  }
  const container = { ...first, resources: { ...first.resources, limits, requests } }
  const seated = { ...template, spec: { ...template.spec, containers: [container, ...others] } }
  if (alternatives === undefined) return seated
  return withLabels(seated, {}, { [annotation.accelerators]: alternatives.map(formatAccelerators).join(',') })
}

/** A kubelet counts whole devices of one resource: shares and mixed alternatives stay out of its sight. */
function acceleratorLimit(alternatives: readonly Accelerators[]): Record<string, string> {
  const limits = alternatives.map(({ model, count }) => `${resourceOf(model)}=${count}`)
  const [resource, count] = (limits[0] ?? '').split('=')
  if (resource === undefined || count === undefined || new Set(limits).size !== 1) return {}
  return Number.isInteger(Number(count)) ? { [resource]: count } : {}
}

function resourceOf(model: string): string {
  return model === cpuModel ? cpuSlot : (migResource(model) ?? gpuResource)
}

function acceleratorsOfTemplate(template: PodTemplate): Accelerators[] {
  const written = template.metadata?.annotations?.[annotation.accelerators]
  if (written !== undefined) return acceleratorsOf(written.split(','))
  const gpus = podRequest(template, gpuResource, countOf)
  if (gpus > 0) return [{ model: gpuModelWanted(template), count: gpus }]
  const profile = profileAsked(template)
  if (profile !== undefined) {
    const card = gpuModelWanted(template)
    const model = migModel(card === anyGpu ? undefined : card, profile)
    return [{ model, count: podRequest(template, resourceOf(model), countOf) }]
  }
  const slots = podRequest(template, cpuSlot, countOf)
  return slots > 0 ? [{ model: cpuModel, count: slots }] : [{ ...oneSlot }]
}

function profileAsked({ spec }: PodTemplate): string | undefined {
  const asked = [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ resources }) =>
    Object.entries({ ...resources?.limits, ...resources?.requests }),
  )
  const found = asked.find(([resource, count]) => migProfile(resource) !== undefined && countOf(count) > 0)
  return found === undefined ? undefined : migProfile(found[0])
}

function gpuModelWanted(template: PodTemplate): string {
  const selector = template.spec.nodeSelector ?? {}
  const ours = selector[label.accelerator]
  if (ours !== undefined) return canonicalModel(ours)
  const product = selector['nvidia.com/gpu.product']
  return product === undefined ? anyGpu : modelOfProduct(product)
}

/** As Kubernetes counts a pod: the sum of its containers, or the largest init container where that is more. */
function podRequest(template: PodTemplate, resource: string, read: (value: string | number) => number): number {
  const of = (container: Container) => {
    const value = container.resources?.requests?.[resource] ?? container.resources?.limits?.[resource]
    return value === undefined ? 0 : read(value)
  }
  return Math.max(sum(template.spec.containers.map(of)), ...(template.spec.initContainers ?? []).map(of))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
