import type { Container, Pod } from '../model/kinds/kubernetes.ts'
import type { Refusal, Volume } from './contract.ts'

/** The one container and its volumes, or the name of what a machine without a kubelet cannot do. */
export function whatToRun(
  pod: Pod,
  hostPaths: readonly string[],
): { container: Container; volumes: Volume[] } | Refusal {
  const { spec } = pod
  const [container, ...others] = spec.containers
  if (container === undefined) return refuse('the pod has no container')
  if (others.length > 0)
    return refuse(
      `it has ${spec.containers.length} containers (${spec.containers.map((each) => each.name).join(', ')}); one per pod runs here`,
    )
  if ((spec.initContainers ?? []).length > 0)
    return refuse('it has init containers; do their work in the command instead')
  if (spec['hostPID'] === true || spec['hostIPC'] === true) return refuse('hostPID and hostIPC are not supported here')
  const volumes: Volume[] = []
  for (const mount of container.volumeMounts ?? []) {
    const source = spec.volumes?.find((volume) => volume.name === mount.name)
    if (source === undefined) return refuse(`it mounts volume "${mount.name}", which it does not define`)
    const readOnly = mount.readOnly ?? false
    if (source.emptyDir !== undefined) volumes.push({ mountPath: mount.mountPath, readOnly })
    else if (source.hostPath !== undefined) {
      const { path } = source.hostPath
      if (!hostPaths.some((permitted) => isWithin(path, permitted)))
        return refuse(`it mounts the host path ${path}; a pool that permits it lists it under hostPaths`)
      volumes.push({ mountPath: mount.mountPath, readOnly, hostPath: path })
    } else {
      const kind = Object.keys(source).find((key) => key !== 'name') ?? 'unknown'
      return refuse(`volume "${mount.name}" is a ${kind}; emptyDir and hostPath are supported here`)
    }
  }
  return { container, volumes }
}

function isWithin(path: string, folder: string): boolean {
  if (!path.startsWith('/') || path.split('/').includes('..')) return false
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}

/**
 * The port that a probe means. Pods here share one address and get ports from their seats, so a container port, by
 * number or by name, stands for the seat's port in the same place; any other number is taken as it is.
 */
export function probedPort(
  port: number | string,
  container: Container,
  seatPorts: readonly number[],
): number | undefined {
  const declared = container.ports ?? []
  const index = declared.findIndex((each) => each.name === port || String(each.containerPort) === String(port))
  if (index >= 0) return seatPorts[index] ?? seatPorts[0] ?? declared[index]?.containerPort
  if (port === 0 || port === '0' || port === 'PORT' || port === '$(PORT)') return seatPorts[0]
  const number = Number(port)
  return Number.isInteger(number) && number > 0 && number < 65_536 ? number : seatPorts[0]
}

function refuse(message: string): Refusal {
  return { refused: true, reason: 'Unsupported', message: `this node cannot run the pod: ${message}` }
}
