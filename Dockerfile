# Two images: `sandbox`, in which the model's code runs, and `bot`, the bot itself.
ARG BASE_IMAGE=python:3.12-slim
ARG BOT_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS sandbox
COPY codeact_bot/sandbox/image /opt/codeact
RUN python3 -c "import numpy, pandas, matplotlib" 2>/dev/null || python3 -m pip install --no-cache-dir -r /opt/codeact/requirements.txt
RUN python3 /opt/codeact/install_fonts.py
RUN grep -q '^[^:]*:[^:]*:1000:' /etc/passwd || echo 'user:x:1000:1000::/work:/bin/sh' >> /etc/passwd
WORKDIR /work
USER 1000:1000
CMD ["python3"]

FROM ${BOT_IMAGE} AS bot
WORKDIR /app
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir -r requirements/run.txt
COPY pyproject.toml README.md LICENSE Dockerfile ./
COPY codeact_bot codeact_bot
COPY adapters adapters
RUN pip install --no-cache-dir --no-deps .
USER 1000:1000
ENV CODEACT_DATA=/tmp/codeact-bot CODEACT_OPERATIONS=127.0.0.1:9321
HEALTHCHECK --interval=30s --timeout=10s --start-period=10m \
  CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:9321/healthz', timeout=9)"]
ENTRYPOINT ["codeact-bot"]
CMD ["serve"]
