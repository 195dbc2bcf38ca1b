import type { LogOptions, Pod } from '../model/kinds/kubernetes.ts'

/** What the API serves but cannot reach itself; `runtime` plugs it in. */
export interface ApiPorts {
  /** The pod's output. Ends when it is told everything there is, or, followed, when the pod is over or `signal` aborts. */
  logs(pod: Pod, options: LogOptions): AsyncIterable<Uint8Array>
  /** Prometheus' text format. */
  metrics(): Promise<string>
  /**
   * The content of a published file, which is `size` bytes long. Throws before its first chunk, with what a person may
   * do, where that content is not there or of another length; whoever reads it compares the checksum.
   */
  content?(sha256: string, size: number): AsyncIterable<Uint8Array>
  /** Why a gang waits or runs where it does; undefined where nothing is known of it. */
  why?(namespace: string, name: string): Promise<object | undefined>
}
