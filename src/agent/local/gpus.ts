import { modelOfProduct } from '../../model/catalogue.ts'
import type { Device } from '../../model/kinds/kubernetes.ts'

/** A device and where on the bus its card is, by which it is known again when the driver can tell no more of it. */
export interface FoundGpu extends Device {
  bus?: string
}

/** `problem`: the driver answers nothing. */
export interface FoundGpus {
  gpus: FoundGpu[]
  problem?: string
}

/**
 * What is asked of `nvidia-smi`; the reader below knows the columns. The last two say nothing that we need, but a card
 * which must be reset still tells its name and memory, and only there that it must.
 */
export const gpuQuery = [
  '--query-gpu=index,uuid,name,memory.total,mig.mode.current,pci.bus_id,pstate,temperature.gpu',
  '--format=csv,noheader,nounits',
]
export const gpuList = ['-L']

/**
 * GPUs from what `nvidia-smi` prints. A card that has fallen off the bus is still listed, unhealthy with the driver's
 * words, so that it is missed and not just absent. `list` (`nvidia-smi -L`) is needed where MIG is on: a partitioned
 * card offers its instances, not itself.
 */
export function readGpus(query: string, list = ''): FoundGpus {
  const gpus: FoundGpu[] = []
  const instances = readInstances(list)
  for (const line of query.split('\n').map((each) => each.trim())) {
    if (line === '') continue
    const lost = lostLine.exec(line)
    if (lost !== null) gpus.push(lostGpu(lost[1], lost[2], sentence(lost[3] ?? '')))
    else if (/^\d+\s*,/.test(line)) gpus.push(...rowOf(line, instances))
    else if (/^no devices were found/i.test(line)) return { gpus: [] }
    else if (/nvidia-smi has failed|failed to initialize nvml|couldn't (communicate|find)/i.test(line))
      return { gpus: [], problem: sentence(line) }
  }
  return { gpus }
}

/** With an index, with a PCI address, or with both, as the driver's version has it. */
const lostLine =
  /^Unable to determine the device handle for gpu\s*(?:(\d{1,3}):\s+)?(?:([0-9a-f]{3,}:[0-9a-f:.]+)\s*:\s*)?(.+)$/i

/**
 * What is known of the machine's cards after another look. A card that was there stays in the list under its name, in
 * whatever words the driver has lost it; one that is healthy again is so; MIG instances go when others take their place.
 */
export function mergeGpus(before: readonly FoundGpu[], now: FoundGpus): FoundGpu[] {
  const { problem } = now
  if (problem !== undefined) return before.map((gpu) => ({ ...gpu, healthy: false, reason: problem }))
  const taken = new Set<FoundGpu>()
  const kept = before.flatMap((gpu) => {
    const same = now.gpus.find((each) => isSame(gpu, each))
    if (same !== undefined) {
      taken.add(same)
      const { reason: _, ...rest } = gpu.uuid === undefined && same.uuid !== undefined ? same : gpu
      return [{ ...rest, healthy: same.healthy, ...(same.reason === undefined ? {} : { reason: same.reason }) }]
    }
    const isReplaced = now.gpus.some((each) => each.id === gpu.id || (each.healthy && isOnBus(gpu, each)))
    return isReplaced ? [] : [{ ...gpu, healthy: false, reason: 'the driver does not list it any more' }]
  })
  return [...kept, ...now.gpus.filter((each) => !taken.has(each))]
}

function isSame(known: FoundGpu, now: FoundGpu): boolean {
  if (known.uuid !== undefined && now.uuid !== undefined) return known.uuid === now.uuid
  return known.id === now.id || isOnBus(known, now) || (!now.healthy && known.id.startsWith(`${now.id}-`))
}

function isOnBus(known: FoundGpu, now: FoundGpu): boolean {
  return known.bus !== undefined && known.bus === now.bus
}

/** `00000000:5F:00.0` and `0000:5f:00.0` are one place. */
function busOf(text: string | undefined): { bus?: string } {
  const match = /^([0-9a-f]+):([0-9a-f]{2}):([0-9a-f]{2}\.[0-9a-f])$/i.exec(text ?? '')
  if (match === null) return {}
  const domain = Number.parseInt(match[1] ?? '', 16)
    .toString(16)
    .padStart(4, '0')
  return { bus: `${domain}:${match[2]}:${match[3]}`.toLowerCase() }
}

function rowOf(line: string, instances: Map<number, Device[]>): FoundGpu[] {
  const [indexText = '', uuid = '', name = '', memory = '', mig = '', bus = '', ...signs] = line
    .split(',')
    .map((field) => field.trim())
  const index = Number(indexText)
  const broken = [uuid, name, memory, mig, bus, ...signs].map(problemOf).find((problem) => problem !== undefined)
  const device: FoundGpu = {
    id: `gpu-${index}`,
    model: problemOf(name) === undefined && !isAbsent(name) ? modelOfProduct(name) : 'gpu',
    ...(uuid.startsWith('GPU-') ? { uuid } : {}),
    ...(Number(memory) > 0 ? { memoryMiB: Number(memory) } : {}),
    healthy: broken === undefined && uuid.startsWith('GPU-'),
    ...(broken === undefined ? {} : { reason: broken }),
    ...busOf(bus),
  }
  if (!device.healthy && device.reason === undefined) device.reason = 'the driver does not tell its UUID'
  if (mig !== 'Enabled' || !device.healthy) return [device]
  const parts = instances.get(index) ?? []
  if (parts.length === 0)
    return [
      {
        ...device,
        healthy: false,
        reason: 'MIG is on but has no instances; create some, or turn it off (nvidia-smi -mig 0)',
      },
    ]
  return parts.map((part) => ({ ...part, model: `${device.model}-${part.model}`, ...busOf(bus) }))
}

/** `[N/A]` and `[Not Supported]` say that there is no such thing; other words in brackets say that the card is broken. */
function problemOf(field: string): string | undefined {
  const inside = /^\[(.+)\]$/.exec(field)?.[1] ?? (/(is lost|unknown error|^err!$)/i.test(field) ? field : undefined)
  return inside === undefined || isAbsent(`[${inside}]`) ? undefined : sentence(inside)
}
function isAbsent(field: string): boolean {
  return field === '' || /^\[?(n\/a|not supported|insufficient permissions|requested functionality.*)\]?$/i.test(field)
}

function lostGpu(index: string | undefined, bus: string | undefined, reason: string): FoundGpu {
  const id =
    index !== undefined ? `gpu-${index}` : `gpu-${(bus ?? 'unknown').toLowerCase().replaceAll(/[^0-9a-z]+/g, '-')}`
  const told = bus === undefined ? reason : `${bus}: ${reason}`
  return { id, model: 'gpu', healthy: false, reason: told, ...busOf(bus) }
}

/** MIG instances by the index of their card, from `nvidia-smi -L`; their model is only the profile. */
function readInstances(list: string): Map<number, Device[]> {
  const found = new Map<number, Device[]>()
  let card = -1
  for (const line of list.split('\n')) {
    const gpu = /^GPU (\d+):/.exec(line)
    if (gpu !== null) card = Number(gpu[1])
    const instance = /^\s+MIG (\S+)\s+Device\s+(\d+):\s*\(UUID: (MIG-[^)]+)\)/.exec(line)
    const [, profile = '', number = '', uuid = ''] = instance ?? []
    if (instance === null || card < 0) continue
    const gigabytes = Number(/\.(\d+)gb/.exec(profile)?.[1])
    const device: Device = {
      id: `gpu-${card}-mig-${number}`,
      model: profile.replaceAll(/[^A-Za-z0-9._-]+/g, '-'),
      uuid,
      ...(gigabytes > 0 ? { memoryMiB: gigabytes * 1024 } : {}),
      healthy: true,
    }
    found.set(card, [...(found.get(card) ?? []), device])
  }
  return found
}

function sentence(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
