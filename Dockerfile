# syntax=docker/dockerfile:1
# Three images from one recipe: the hub (--target hub, the default), the dashboard and the agent, which needs little.
#
#   base ─▶ build-agent ─┬─▶ build-dashboard    compilers and caches stay here
#     │          │       └─▶ build-hub │
#     ├─▶ agent ◀┘               │     │
#     ├─▶ dashboard ◀────────────┼─────┘
#     └─▶ hub ◀──────────────────┘

FROM python:3.13.9-slim-bookworm AS base
ENV PATH=/opt/iothub/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# One user for hub, agent and the broker of compose.yaml: they share files of mode 0600. A volume that is mounted for the
# first time takes over the owner of the folder it is mounted on.
RUN groupadd --gid 10001 iothub \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/iothub --shell /usr/sbin/nologin iothub \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/iothub /broker /credentials

FROM base AS build-agent
WORKDIR /src
RUN python -m venv /opt/iothub
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY wire ./wire
COPY agent ./agent
COPY hub ./hub
COPY gateways ./gateways
COPY dashboard ./dashboard
RUN pip install --no-cache-dir --constraint constraints.txt .

FROM build-agent AS build-hub
RUN pip install --no-cache-dir --constraint constraints.txt ".[hub]"

FROM build-agent AS build-dashboard
RUN pip install --no-cache-dir --constraint constraints.txt ".[dashboard]"

FROM base AS agent
COPY --from=build-agent /opt/iothub /opt/iothub
ENV IOTHUB_AGENT__STATE=/var/lib/iothub/agent
USER 10001:10001
WORKDIR /var/lib/iothub
VOLUME /var/lib/iothub
ENTRYPOINT ["iothub-agent"]

FROM base AS dashboard
COPY --from=build-dashboard /opt/iothub /opt/iothub
USER 10001:10001
WORKDIR /var/lib/iothub
EXPOSE 8501
ENTRYPOINT ["python", "-m", "dashboard"]

FROM base AS hub
COPY --from=build-hub /opt/iothub /opt/iothub
ENV IOTHUB_STATE=/var/lib/iothub
USER 10001:10001
WORKDIR /var/lib/iothub
VOLUME /var/lib/iothub
EXPOSE 8080
ENTRYPOINT ["iothub"]
CMD ["hub"]
