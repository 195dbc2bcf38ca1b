/** Keys by the groups that they are in. */
export class Grouped {
  readonly #members = new Map<string, Set<string>>()
  readonly #groups = new Map<string, readonly string[]>()

  move(key: string, groups: readonly string[]): void {
    for (const group of this.#groups.get(key) ?? []) this.#leave(key, group)
    if (groups.length === 0) this.#groups.delete(key)
    else this.#groups.set(key, groups)
    for (const group of groups) {
      const members = this.#members.get(group) ?? new Set()
      this.#members.set(group, members.add(key))
    }
  }

  of(group: string): string[] {
    return [...(this.#members.get(group) ?? [])]
  }

  #leave(key: string, group: string): void {
    const members = this.#members.get(group)
    members?.delete(key)
    if (members?.size === 0) this.#members.delete(group)
  }
}
