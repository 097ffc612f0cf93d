export interface Agent {
  n: number;
  todo: string[];
}

/** Where the services are, and which LTM to show. */
export function asked(): { url: string; id: string } {
  const query = new URLSearchParams(location.search);
  return { url: query.get('url') ?? 'http://localhost:8000', id: query.get('id') ?? '1' };
}
