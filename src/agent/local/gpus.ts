import { modelOfProduct } from '../../model/catalogue.ts'
import type { Device } from '../../model/kinds/kubernetes.ts'

/** What is asked of `nvidia-smi`; the reader below knows the columns. */
export const gpuQuery = ['--query-gpu=index,uuid,name,memory.total,mig.mode.current', '--format=csv,noheader,nounits']
export const gpuList = ['-L']

/**
 * GPUs from what `nvidia-smi` prints. A card that has fallen off the bus is still listed, unhealthy with the driver's
 * words, so that it is missed and not just absent. `list` (`nvidia-smi -L`) is needed where MIG is on: a partitioned
 * card offers its instances, not itself. `problem`: the driver answers nothing.
 */
export function readGpus(query: string, list = ''): { gpus: Device[]; problem?: string } {
  const gpus: Device[] = []
  const instances = readInstances(list)
  for (const line of query.split('\n').map((each) => each.trim())) {
    if (line === '') continue
    const lost =
      /^Unable to determine the device handle for gpu\s*(?:(\d{1,3}):\s+)?([0-9a-f]{4,}:[0-9a-f:.]+)\s*:\s*(.+)$/i.exec(
        line,
      )
    if (lost !== null) gpus.push(lostGpu(lost[1], lost[2], sentence(lost[3] ?? '')))
    else if (/^\d+\s*,/.test(line)) gpus.push(...rowOf(line, instances))
    else if (/^no devices were found/i.test(line)) return { gpus: [] }
    else if (/nvidia-smi has failed|failed to initialize nvml|couldn't communicate/i.test(line))
      return { gpus: [], problem: sentence(line) }
  }
  return { gpus }
}

function rowOf(line: string, instances: Map<number, Device[]>): Device[] {
  const [indexText = '', uuid = '', name = '', memory = '', mig = ''] = line.split(',').map((field) => field.trim())
  const index = Number(indexText)
  const broken = [uuid, name, memory].map(problemOf).find((problem) => problem !== undefined)
  const device: Device = {
    id: `gpu-${index}`,
    model: problemOf(name) === undefined && !isAbsent(name) ? modelOfProduct(name) : 'gpu',
    ...(uuid.startsWith('GPU-') ? { uuid } : {}),
    ...(Number(memory) > 0 ? { memoryMiB: Number(memory) } : {}),
    healthy: broken === undefined && uuid.startsWith('GPU-'),
    ...(broken === undefined ? {} : { reason: broken }),
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
  return parts.map((part) => ({ ...part, model: `${device.model}-${part.model}` }))
}

/** `[N/A]` and `[Not Supported]` say that there is no such thing; other words in brackets say that the card is broken. */
function problemOf(field: string): string | undefined {
  const inside = /^\[(.+)\]$/.exec(field)?.[1] ?? (/(is lost|unknown error)/i.test(field) ? field : undefined)
  return inside === undefined || isAbsent(`[${inside}]`) ? undefined : sentence(inside)
}
function isAbsent(field: string): boolean {
  return field === '' || /^\[?(n\/a|not supported|insufficient permissions|requested functionality.*)\]?$/i.test(field)
}

function lostGpu(index: string | undefined, bus: string | undefined, reason: string): Device {
  const id =
    index !== undefined ? `gpu-${index}` : `gpu-${(bus ?? 'unknown').toLowerCase().replaceAll(/[^0-9a-z]+/g, '-')}`
  return { id, model: 'gpu', healthy: false, reason: bus === undefined ? reason : `${bus}: ${reason}` }
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
